#include <elf.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>
#include <cstddef>
#include <map>

#include "tests/abi/zoo.hpp"

namespace switchyard::plugin::test {
namespace {

// Why the file is refused; empty where it loads.
std::string refusal(Libraries& libraries, const fs::path& file) {
  const auto loaded = libraries.load(file);
  return loaded ? "" : loaded.error().message;
}

std::string refusal_of(const std::string& defect, bool trial = true) {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.trial = trial;
  if (defect == "init_hangs") options.trial_max = std::chrono::milliseconds(200);
  Libraries libraries(options);
  return refusal(libraries, directory.add(defect, "x.so"));
}

// What is wrong in the table is found by trial and load alike.
const std::map<std::string, std::string> kTableDefects = {
    {"null_table", "refuses this host: swy_plugin_v1 returned NULL to an offer of minor 0"},
    {"short_lib", "swy_lib has 16 bytes, expected at least 72"},
    {"need_newer", "needs host minor 7, this host has 0"},
    {"null_id", "swy_lib.id is NULL"},
    {"bad_id", "id \"Zoo Broken\", expected vendor.name of [a-z0-9_.-]"},
    {"null_version", "swy_lib.version is NULL"},
    {"no_kinds", "offers nothing: nkinds is 0"},
    {"many_kinds", "offers 65 kinds, expected at most 64"},
    {"null_kinds", "swy_lib.kinds is NULL"},
    {"null_kind", "kinds[1] is NULL"},
    {"short_kind", "kinds[0]: swy_kind has 24 bytes, expected at least 48"},
    {"null_iface", "kinds[0]: iface is NULL"},
    {"unknown_iface",
     "offers nothing that this host knows: swy.guardrail/1; known: swy.provider/0, "
     "swy.strategy/0, swy.logger/0"},
    {"null_name", "kinds[0]: name is NULL"},
    {"bad_name", "kinds[0]: name \"Sink One\", expected [a-z0-9_-]{1,63}"},
    {"twice", "kinds[1] (swy.logger/0 \"sink\") is there twice"},
    {"null_caps", "kinds[0] (swy.logger/0 \"sink\"): caps is NULL"},
    {"bad_caps", "kinds[0] (swy.logger/0 \"sink\"): caps is not JSON: byte 5: Invalid value."},
    {"caps_array", "kinds[0] (swy.logger/0 \"sink\"): caps is not a JSON object"},
    {"bad_schema", "kinds[0] (swy.logger/0 \"sink\"): schema is not a JSON object"},
    {"no_tasks", "kinds[0] (swy.provider/0 \"sink\"): caps.tasks: expected at least one task"},
    {"bad_tasks", "kinds[0] (swy.provider/0 \"sink\"): caps.tasks: expected an array of strings"},
    {"null_vt", "kinds[0] (swy.logger/0 \"sink\"): vt is NULL"},
    {"empty_vt",
     "kinds[0] (swy.logger/0 \"sink\"): swy_logger.open is missing: the table has 0 bytes"},
    {"short_vt",
     "kinds[0] (swy.logger/0 \"sink\"): swy_logger.write is missing: the table has 24 bytes"},
    {"half_vt", "kinds[0] (swy.logger/0 \"sink\"): swy_logger.flush is NULL"},
    {"init_fails", "init failed: no licence found"},
    {"init_silent", "init failed: SWY_E_LIMIT"},
};

// What a host would not survive, or can't see, is found by the trial.
const std::map<std::string, std::string> kTrialDefects = {
    {"no_entry", "does not export swy_plugin_v1"},
    {"exports", "exports 2 symbols beside swy_plugin_v1: zoo_first, zoo_second"},
    {"unique",
     "has the unique symbol zoo_one: build it with switchyard_add_plugin, or with "
     "-fno-gnu-unique and a version script"},
    {"static_tls", "uses static TLS: compile it without -ftls-model=initial-exec"},
    {"textrel", "needs text relocations: compile it with -fPIC"},
    {"unresolved", "can't be loaded: undefined symbol: zoo_nowhere"},
    {"self_test_fails", "self_test failed: 2 + 2 is 5"},
    {"ctor_segv", "crashed in constructor with SIGSEGV"},
    {"entry_segv", "crashed in entry with SIGSEGV"},
    {"init_segv", "crashed in init with SIGSEGV"},
    {"init_aborts", "crashed in init with SIGABRT"},
    {"throws", "crashed in init with SIGABRT"},
    {"init_exits", "ended the process in init with status 0"},
    {"init_hangs", "hung in init: no answer within 0.2 s"},
    {"fini_aborts", "crashed in fini with SIGABRT"},
    {"exit_segv", "crashed in exit with SIGSEGV"},
};

}  // namespace

TEST_CASE("plugin: every refusal is in the table of sdk/PLUGINS.md", "[abi]") {
  const std::vector<std::regex> documented = documented_refusals();
  REQUIRE(documented.size() > 40);
  for (const auto& defects : {kTableDefects, kTrialDefects}) {
    for (const auto& [defect, text] : defects) {
      CAPTURE(text);
      CHECK(is_documented(documented, text));
    }
  }
}

TEST_CASE("plugin: each broken table is refused with its own words", "[abi]") {
  for (const auto& [defect, text] : kTableDefects) {
    CAPTURE(defect);
    CHECK(refusal_of(defect) == text);
  }
}

TEST_CASE("plugin: without a trial the load itself still refuses a broken table", "[abi]") {
  for (const auto& [defect, text] : kTableDefects) {
    if (defect == "init_fails")
      continue;  // its text has a line feed, which the trial's report can't carry
    CAPTURE(defect);
    CHECK(refusal_of(defect, false) == text);
  }
}

TEST_CASE("plugin: what would harm the host ends in the trial", "[abi]") {
  for (const auto& [defect, text] : kTrialDefects) {
    CAPTURE(defect);
    CHECK(refusal_of(defect) == text);
  }
}

TEST_CASE("plugin: files that are no plugins are refused before their code runs", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const std::string good = read_file(directory.add("none", "good.so"));
  const fs::path file = directory.plugins() / "x.so";
  const auto refused = [&](const std::string& bytes) {
    write_file(file, bytes);
    return refusal(libraries, file);
  };
  const auto patched = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return refused(bytes);
  };

  CHECK(refused("") == "is not an ELF file");
  CHECK(refused("#!/bin/sh\necho a text file\n") == "is not an ELF file");
  CHECK(refused(good.substr(0, 20)) ==
        "is truncated: its ELF header ends at byte 64, the file has 20");
  CHECK(refused(good.substr(0, good.size() / 4)).starts_with("is truncated: its segment "));
  CHECK(refused(good.substr(0, good.size() - 1)) ==
        "is truncated: its section table ends at byte " + std::to_string(good.size()) +
            ", the file has " + std::to_string(good.size() - 1));
  CHECK(patched(EI_CLASS, ELFCLASS32) == "is not a 64-bit ELF file");
  CHECK(patched(offsetof(Elf64_Ehdr, e_type), ET_REL) == "is not a shared library: ELF type 1");
  CHECK(patched(offsetof(Elf64_Ehdr, e_machine), EM_SPARC)
            .starts_with("is built for another processor: ELF machine 2, this host is "));
  CHECK(libraries.all().empty());
  CHECK(fs::is_empty(directory.copies()));
}

TEST_CASE("plugin: a whole directory is loaded in name order, and bad files do not stop it",
          "[abi]") {
  const Directory directory;
  directory.add("mirror", "c.so");
  directory.add("none", "b.so");
  directory.add("null_table", "a.so");
  directory.add("prints", "d.txt");
  write_file(directory.plugins() / ".b.so.part.so", "half a copy");
  Libraries libraries(directory.options());

  const auto refused = libraries.load_all();
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].file.filename() == "a.so");
  REQUIRE(libraries.all().size() == 2);
  CHECK(libraries.all()[0]->id() == "zoo.broken");
  const Library& mirror = *libraries.all()[1];
  CHECK(mirror.version() == "1.2.3");
  CHECK(mirror.build() == "test");
  CHECK(mirror.source().filename() == "c.so");
  CHECK(mirror.sha256().size() == 64);
  REQUIRE(mirror.kinds().size() == 2);
  CHECK(mirror.kinds()[0].iface == "swy.provider/0");
  CHECK(mirror.kinds()[0].schema == "{\"type\":\"object\"}");
  CHECK(mirror.kinds()[1].schema.empty());

  CHECK(libraries.find("provider", "mirror").library->id() == "zoo.mirror");
  CHECK(libraries.find("logger", "sink").kind->iface == "swy.logger/0");
  CHECK_FALSE(libraries.find("provider", "sink").kind);
  CHECK_FALSE(libraries.find("strategy", "mirror").kind);
}

TEST_CASE("plugin: what a plugin prints does not reach the trial's report", "[abi]") {
  CHECK(refusal_of("prints") == "");
}

TEST_CASE("plugin: the same content is one library", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const auto first = libraries.load(directory.add("none", "x.so"));
  REQUIRE(first);
  const auto again = libraries.load(directory.add("none", "y.so"));
  REQUIRE(again);
  CHECK(*again == *first);
  CHECK(libraries.all().size() == 1);

  const Directory elsewhere;
  Libraries others(elsewhere.options());
  const auto third = others.load(elsewhere.add("none", "x.so"));
  REQUIRE(third);
  CHECK(*third == *first);
}

TEST_CASE("plugin: a changed file brings the new code, and changing it back the old", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const auto version = [&] { return libraries.find("logger", "sink").library->version(); };

  REQUIRE(libraries.load(directory.add("none", "x.so")));
  const Kind before = *libraries.find("logger", "sink").kind;
  REQUIRE(libraries.load(directory.add("next", "x.so")));
  CHECK(version() == "2");

  // The old code stays mapped and callable whatever became of its file.
  fs::remove(directory.plugins() / "x.so");
  std::uint32_t taken = 0;
  swy_err err{};
  const auto* table = static_cast<const swy_logger*>(before.vt);
  CHECK(table->write(nullptr, nullptr, 3, sizeof(swy_rec), 0, &taken, &err) == SWY_OK);
  CHECK(taken == 3);

  REQUIRE(libraries.load(directory.add("none", "x.so")));
  CHECK(version() == "1");
  CHECK(libraries.all().size() == 1);
}

TEST_CASE("plugin: overwriting a loaded file in place does not touch what runs", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const fs::path file = directory.add("mirror", "x.so");
  REQUIRE(libraries.load(file));
  write_file(file, std::string(fs::file_size(file), '\0'));
  const auto found = libraries.find("logger", "counter");
  swy_err err{};
  CHECK(static_cast<const swy_logger*>(found.kind->vt)->flush(nullptr, 1, &err) == SWY_OK);
}

TEST_CASE("plugin: two files can't offer the same thing", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  REQUIRE(libraries.load(directory.add("none", "first.so")));
  CHECK(refusal(libraries, directory.add("next", "x.so")) ==
        "id \"zoo.broken\" is taken by first.so");
  CHECK(refusal(libraries, directory.add("rival", "x.so")) ==
        "swy.logger/0 \"sink\" is taken by first.so");
}

TEST_CASE("plugin: only what its owner alone can change is loaded", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const fs::path file = directory.add("none", "x.so");
  const fs::path plugins = directory.plugins();

  SECTION("a file that others may write") {
    fs::permissions(file, fs::perms(0666));
    CHECK(refusal(libraries, file) == "the file is writable by others (mode 0666): chmod go-w it");
  }
  SECTION("a link") {
    fs::create_symlink(file, plugins / "link.so");
    CHECK(refusal(libraries, plugins / "link.so") == "is a symbolic link");
  }
  SECTION("a directory and a FIFO with the name of a library") {
    fs::create_directory(plugins / "d.so");
    CHECK(refusal(libraries, plugins / "d.so") == "is not a regular file");
    REQUIRE(::mkfifo((plugins / "f.so").c_str(), 0600) == 0);
    CHECK(refusal(libraries, plugins / "f.so") == "is not a regular file");
  }
  SECTION("a file elsewhere") {
    fs::copy_file(file, directory.root() / "x.so");
    CHECK(refusal(libraries, directory.root() / "x.so") ==
          "is not in the plugin directory " + plugins.string());
  }
  SECTION("a missing file") {
    CHECK(refusal(libraries, plugins / "no.so") == "can't be opened: No such file or directory");
  }
  SECTION("a directory that a group may write") {
    fs::permissions(plugins, fs::perms(0775));
    const std::string text =
        "the plugin directory is writable by others (mode 0775): chmod go-w it";
    CHECK(refusal(libraries, file) == text);
    const auto refused = libraries.load_all();
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].file == plugins);
    CHECK(refused[0].reason == text);
  }
  SECTION("a directory that is a link") {
    fs::rename(plugins, directory.root() / "real");
    fs::create_directory_symlink(directory.root() / "real", plugins);
    CHECK(refusal(libraries, file) == "the plugin directory is a symbolic link");
  }
  SECTION("no directory at all") {
    fs::remove_all(plugins);
    REQUIRE(libraries.load_all().size() == 1);
    CHECK(libraries.load_all()[0].reason ==
          "the plugin directory can't be opened: No such file or directory");
  }
  CHECK(libraries.all().empty());
}

TEST_CASE("plugin: where hashes are pinned only those load", "[abi]") {
  const Directory directory;
  const fs::path file = directory.add("none", "x.so");
  std::string sha256;
  {
    Libraries libraries(directory.options());
    const auto loaded = libraries.load(file);
    REQUIRE(loaded);
    sha256 = (*loaded)->sha256();
  }

  LibraryOptions options = directory.options();
  options.pins = {{"y.so", sha256}};
  CHECK([&] {
    Libraries libraries(options);
    return refusal(libraries, file);
  }() == "is not pinned, and only pinned files are loaded");

  options.pins = {{"x.so", std::string(64, 'a')}};
  CHECK([&] {
    Libraries libraries(options);
    return refusal(libraries, file);
  }() == "is pinned to SHA-256 " + std::string(64, 'a') + ", it has " + sha256);

  options.pins = {};
  options.require_pins = true;
  CHECK([&] {
    Libraries libraries(options);
    return refusal(libraries, file);
  }() == "is not pinned, and only pinned files are loaded");

  for (char& c : sha256) c = static_cast<char>(std::toupper(c));
  options.pins = {{"x.so", sha256}};
  Libraries libraries(options);
  CHECK(refusal(libraries, file) == "");
}

TEST_CASE("plugin: a trial that can't be held is a refusal", "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.trial_program = "/nowhere/switchyard";
  Libraries libraries(options);
  CHECK(refusal(libraries, directory.add("init_segv", "x.so")) ==
        "trial: can't start /nowhere/switchyard: No such file or directory");

  options.trial_program = "/bin/true";
  Libraries others(options);
  CHECK(refusal(others, directory.plugins() / "x.so") ==
        "trial: the program did not run a trial (wait status 0)");
}

TEST_CASE("plugin: copies of processes that are gone are removed at start", "[abi]") {
  const Directory directory;
  fs::create_directory(directory.copies());
  // Above the largest process number that Linux gives.
  const fs::path stale = directory.copies() / "0011aabb.99999999.1.so";
  const fs::path foreign = directory.copies() / "README";
  write_file(stale, "old");
  write_file(foreign, "mine");
  const Libraries libraries(directory.options());
  CHECK_FALSE(fs::exists(stale));
  CHECK(fs::exists(foreign));
}

}  // namespace switchyard::plugin::test
