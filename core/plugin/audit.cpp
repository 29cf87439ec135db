#include "core/plugin/audit.hpp"

#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <switchyard/plugin.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace switchyard::plugin {
namespace {

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr unsigned kMachine = EM_RISCV;
#else
#error "name this processor's ELF machine"
#endif

// How many exports a refusal names before it says "...".
constexpr std::size_t kNamedMax = 8;

struct File {
  explicit File(const std::filesystem::path& path)
      : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
        elf(fd < 0 ? nullptr : elf_begin(fd, ELF_C_READ, nullptr)) {
    struct stat status{};
    if (fd >= 0 && ::fstat(fd, &status) == 0) bytes = static_cast<std::uint64_t>(status.st_size);
  }
  ~File() {
    if (elf) elf_end(elf);
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd;
  Elf* elf;
  std::uint64_t bytes = 0;
};

Error truncated(std::string_view what, std::uint64_t end, std::uint64_t bytes) {
  return Error{"is truncated: its " + std::string(what) + " ends at byte " + std::to_string(end) +
               ", the file has " + std::to_string(bytes)};
}

Result<void> check_header(const File& file) {
  // Before libelf looks further: its own answers to a short file are not stable over its versions.
  unsigned char ident[EI_NIDENT] = {};
  const ssize_t n = ::pread(file.fd, ident, sizeof ident, 0);
  if (n < SELFMAG || std::memcmp(ident, ELFMAG, SELFMAG) != 0) return Error{"is not an ELF file"};
  if (n == EI_NIDENT && ident[EI_CLASS] != ELFCLASS64) {
    return Error{"is not a 64-bit ELF file"};
  }
  if (file.bytes < sizeof(Elf64_Ehdr)) {
    return truncated("ELF header", sizeof(Elf64_Ehdr), file.bytes);
  }

  GElf_Ehdr header{};
  if (!file.elf || !gelf_getehdr(file.elf, &header)) return Error{"has no readable ELF header"};
  if (header.e_machine != kMachine) {
    return Error{"is built for another processor: ELF machine " + std::to_string(header.e_machine) +
                 ", this host is " + std::to_string(kMachine)};
  }
  if (header.e_type != ET_DYN) {
    return Error{"is not a shared library: ELF type " + std::to_string(header.e_type)};
  }
  return {};
}

// Every segment that will be mapped, and the section headers, are inside the file.
Result<void> check_whole(const File& file) {
  std::size_t segments = 0;
  if (elf_getphdrnum(file.elf, &segments) != 0 || segments == 0) {
    return Error{"has no program headers"};
  }
  for (std::size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment{};
    if (!gelf_getphdr(file.elf, static_cast<int>(i), &segment)) {
      return Error{"has no readable program header " + std::to_string(i)};
    }
    if (segment.p_offset > file.bytes || segment.p_filesz > file.bytes - segment.p_offset) {
      return truncated("segment " + std::to_string(i), segment.p_offset + segment.p_filesz,
                       file.bytes);
    }
  }

  GElf_Ehdr header{};
  gelf_getehdr(file.elf, &header);
  const std::uint64_t end =
      header.e_shoff + std::uint64_t{header.e_shnum} * std::uint64_t{header.e_shentsize};
  if (header.e_shoff > file.bytes || end > file.bytes) {
    return truncated("section table", end, file.bytes);
  }
  return {};
}

Result<void> check_dynamic(Elf_Scn* section, const GElf_Shdr& header) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (!data || header.sh_entsize == 0) return Error{"has no readable dynamic section"};

  for (std::size_t i = 0; i < header.sh_size / header.sh_entsize; ++i) {
    GElf_Dyn entry{};
    if (!gelf_getdyn(data, static_cast<int>(i), &entry) || entry.d_tag == DT_NULL) break;
    const bool flags = entry.d_tag == DT_FLAGS;
    if (entry.d_tag == DT_TEXTREL || (flags && (entry.d_un.d_val & DF_TEXTREL))) {
      return Error{"needs text relocations: compile it with -fPIC"};
    }
    if (flags && (entry.d_un.d_val & DF_STATIC_TLS)) {
      return Error{"uses static TLS: compile it without -ftls-model=initial-exec"};
    }
  }
  return {};
}

Result<void> check_exports(Elf* elf, Elf_Scn* section, const GElf_Shdr& header) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (!data || header.sh_entsize == 0) return Error{"has no readable dynamic symbol table"};

  bool entry_found = false;
  std::vector<std::string> others;
  for (std::size_t i = 1; i < header.sh_size / header.sh_entsize; ++i) {
    GElf_Sym symbol{};
    if (!gelf_getsym(data, static_cast<int>(i), &symbol)) {
      return Error{"has no readable dynamic symbol " + std::to_string(i)};
    }
    const unsigned binding = GELF_ST_BIND(symbol.st_info);
    const unsigned visibility = GELF_ST_VISIBILITY(symbol.st_other);
    if (symbol.st_shndx == SHN_UNDEF || binding == STB_LOCAL) continue;
    if (visibility == STV_HIDDEN || visibility == STV_INTERNAL) continue;

    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (!name) return Error{"has a dynamic symbol without a name"};
    if (binding == STB_GNU_UNIQUE) {
      return Error{"has the unique symbol " + std::string(name) +
                   ": build it with switchyard_add_plugin, or with -fno-gnu-unique and a version "
                   "script"};
    }
    if (std::strcmp(name, SWY_ENTRY_NAME) == 0) {
      entry_found = true;
    } else {
      others.emplace_back(name);
    }
  }

  if (!entry_found) return Error{"does not export " SWY_ENTRY_NAME};
  if (others.empty()) return {};
  std::string text = "exports " + std::to_string(others.size()) + " symbols beside " SWY_ENTRY_NAME;
  for (std::size_t i = 0; i < others.size() && i < kNamedMax; ++i) {
    text += (i == 0 ? ": " : ", ") + others[i];
  }
  if (others.size() > kNamedMax) text += ", ...";
  return Error{std::move(text)};
}

}  // namespace

Result<void> audit(const std::filesystem::path& path) {
  elf_version(EV_CURRENT);
  const File file(path);
  if (file.fd < 0) return Error{"can't be opened: " + std::string(std::strerror(errno))};
  if (Result<void> ok = check_header(file); !ok) return ok;
  if (Result<void> ok = check_whole(file); !ok) return ok;

  bool symbols_seen = false;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(file.elf, section))) {
    GElf_Shdr header{};
    if (!gelf_getshdr(section, &header)) return Error{"has no readable section header"};
    if (header.sh_type == SHT_DYNAMIC) {
      if (Result<void> ok = check_dynamic(section, header); !ok) return ok;
    } else if (header.sh_type == SHT_DYNSYM) {
      symbols_seen = true;
      if (Result<void> ok = check_exports(file.elf, section, header); !ok) return ok;
    }
  }
  if (!symbols_seen) return Error{"has no dynamic symbol table"};
  return {};
}

}  // namespace switchyard::plugin
