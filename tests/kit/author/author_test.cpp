// A test as a plugin's author writes one, with nothing but the installed SDK.
#include <iostream>
#include <switchyard/check.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const swy::check::Report report = swy::check::run(argv[1]);
  std::cout << report.text();
  return report.exit_code();
}
