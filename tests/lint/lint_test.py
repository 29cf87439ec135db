"""Each lint sees what it is for, and lets good code pass."""

import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import coroutines  # noqa: E402
import format as layout  # noqa: E402
import layering  # noqa: E402
import tree  # noqa: E402
import words  # noqa: E402


class Layering(unittest.TestCase):
    BAD = [
        ("core/net/a.cpp", '#include "core/config/config.hpp"'),
        ("core/base/a.hpp", '#include "core/net/loop.hpp"'),
        ("core/worker/a.cpp", '#include "core/supervisor/supervisor.hpp"'),
        ("core/supervisor/a.cpp", '#include "core/plugin/library.hpp"'),
        ("core/supervisor/a.cpp", '#include "core/worker/pool.hpp"'),
        ("core/config/a.cpp", '  #  include "core/store/store.hpp"'),
        ("core/config/a.cpp", '#include "config.hpp"'),
        ("core/base/a.hpp", '#include "core/newroom/a.hpp"'),
        ("core/base/a.hpp", '#include "plugins/providers/openai/translate.hpp"'),
        ("plugins/providers/demo/a.cpp", '#include "core/base/result.hpp"'),
        ("plugins/providers/demo/a.cpp", '#include "plugins/providers/openai/translate.hpp"'),
        ("plugins/providers/demo/a.cpp", '#include "../openai/translate.hpp"'),
        ("sdk/include/switchyard/a.h", "#include <core/base/result.hpp>"),
    ]
    GOOD = [
        ("core/main.cpp", '#include "core/cli/dispatch.hpp"'),
        ("core/cli/a.cpp", '#include "core/supervisor/supervisor.hpp"'),
        ("core/supervisor/a.cpp", '#include "core/worker/control.hpp"'),
        ("core/config/a.cpp", '#include "core/config/schema.hpp"\n#include "core/base/near.hpp"'),
        ("core/config/a.cpp", '/* #include "core/store/store.hpp" */\n// #include "core/store/store.hpp"'),
        ("core/base/json_scan.hpp", "#include <switchyard/plugin.h>\n#include <string>"),
        ("plugins/providers/demo/a.cpp", '#include "reply.hpp"\n#include <switchyard/plugin.hpp>'),
        ("sdk/include/switchyard/a.h", '#include "switchyard/plugin.h"'),
    ]

    def test_wrong_ways_are_found(self):
        for path, text in self.BAD:
            with self.subTest(text=text, path=path):
                self.assertEqual(len(layering.faults(path, text)), 1)

    def test_right_ways_pass(self):
        for path, text in self.GOOD:
            with self.subTest(text=text, path=path):
                self.assertEqual(layering.faults(path, text), [])

    def test_the_line_is_named(self):
        text = "\n\n/* a\n b */\n#include \"core/net/loop.hpp\"\n"
        self.assertTrue(layering.faults("core/base/a.hpp", text)[0].startswith("core/base/a.hpp:5: "))


class Coroutines(unittest.TestCase):
    BAD = [
        "if (co_await f()) g();",
        "if (!ok && co_await f()) g();",
        "while (co_await f()) { g(); }",
        "switch (co_await f()) { default: break; }",
        "for (int i = 0; co_await f(i); ++i) g();",
        "for (auto& x : co_await f()) g(x);",
        "if (auto got = co_await f(); got) g();",
        "auto x = c ? co_await f() : y;",
        "co_await f(c ? a : b);",
        "auto x = c ? y : co_await f();",
        "co_await f(Opts{1, 2});",
        "co_await f({1, 2});",
        "co_await f([text] { use(text); });",
        "co_await f([](int a) { return a; });",
        "Opts o{co_await f()};",
        "auto o = Opts{co_await f()};",
        "auto o = Opts{.a = 1, .b = co_await f()};",
        "g(Opts{1}, co_await f());",
        "co_return co_await f(Opts{});",
        "co_return Opts{co_await f()};",
        "co_await f(\n    a,\n    {b});",
        "a(); if (co_await f()) g();",
    ]
    GOOD = [
        "const bool ok = co_await f(); if (ok) { g(); }",
        "if (ok) { co_await f(); } else { co_await g(); }",
        "if (ok) co_await f();",
        "for (int i = 0; i < 3; ++i) { co_await f(i); }",
        "for (int i = 0; i < 3; ++i) co_await f(i);",
        "while (!host.draining()) { auto reply = co_await host.handle(parser.release()); }",
        "Opts o{1, 2}; co_await f(std::move(o));",
        "auto l = [text] { use(text); }; co_await f(std::move(l));",
        "spawn([self]() -> awaitable<void> { co_await self->run(); });",
        "spawn([self] { co_await self->run(); });",
        "try { co_await f(); } catch (...) { }",
        "do { co_await f(); } while (x);",
        "switch (x) { case 1: { co_await f(); break; } default: co_await g(); }",
        "const auto [error, size] = co_await f(as_tuple(use_awaitable));",
        "f(\"if (co_await x)\"); // if (co_await y)",
        "std::vector<int> v = {1, 2}; co_await f(v);",
        "if (a) { b(); } co_await f();",
    ]

    def body(self, text):
        return "awaitable<void> run() {\n  " + text + "\n}\n"

    def test_dangerous_shapes_are_found(self):
        for text in self.BAD:
            with self.subTest(text):
                self.assertGreaterEqual(len(coroutines.faults("a.cpp", self.body(text))), 1)

    def test_other_shapes_pass(self):
        for text in self.GOOD:
            with self.subTest(text):
                self.assertEqual(coroutines.faults("a.cpp", self.body(text)), [])

    def test_defaulted_aggregates_are_found(self):
        for text in ("awaitable<void> run(int a, Opts o = {});", "awaitable<int> run(Opts o = Opts{});"):
            with self.subTest(text):
                self.assertEqual(len(coroutines.faults("a.hpp", text)), 1)
        self.assertEqual(coroutines.faults("a.hpp", "awaitable<void> run(int a = 1);\nOpts o = {};"), [])

    def test_the_line_is_named(self):
        text = 'auto s = R"(\n"\n)";\n' + self.body("if (co_await f()) g();")
        self.assertTrue(coroutines.faults("a.cpp", text)[0].startswith("a.cpp:5: "))


class Words(unittest.TestCase):
    def test_they_are_found(self):
        for path, text in (("core/a.cpp", "// TODO: later"), ("core/a.cpp", "// FIXME"),
                           ("tests/unit/a.cpp", "std::this_thread::sleep_for(1s);"),
                           ("core/a.cpp", "// Copyright (c) 2020 Somebody")):
            with self.subTest(text):
                self.assertEqual(len(words.faults(path, text)), 1)

    def test_others_pass(self):
        for path, text in (("core/a.cpp", "// TODO(#12): later"), ("core/a.cpp", "sleep_for(1s);"),
                           ("tests/unit/a.cpp", "int mastodon; // hacksaw")):
            with self.subTest(text):
                self.assertEqual(words.faults(path, text), [])


class Layout(unittest.TestCase):
    @unittest.skipIf(shutil.which(layout.FORMATTER) is None, f"{layout.FORMATTER} is not installed")
    def test_bad_layout_is_found(self):
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory)
            shutil.copy(tree.ROOT / ".clang-format", folder)
            (folder / "bad.cpp").write_text("int  main( ) {return 0 ;}\n")
            (folder / "good.cpp").write_text("int main() { return 0; }\n")
            self.assertNotEqual(layout.faults(folder, ["bad.cpp"]), [])
            self.assertEqual(layout.faults(folder, ["good.cpp"]), [])


class Tree(unittest.TestCase):
    def test_it_finds_the_sources_and_not_what_was_built(self):
        found = [path.as_posix() for path in tree.files("core", "tests")]
        self.assertIn("core/main.cpp", found)
        self.assertFalse([path for path in found if "/build/" in path])


if __name__ == "__main__":
    unittest.main()
