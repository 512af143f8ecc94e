# C and C++ programs are compiled, by hand and by make, and run.
printf '#include <math.h>\n#include <stdio.h>\nint main(void) { printf("%%.3f\\n", sqrt(2)); return 0; }\n' > root.c
gcc -O2 -Wall -Werror root.c -o root -lm && test "$(./root)" = 1.414
printf '#include <iostream>\n#include <vector>\nint main() { std::vector<int> v{1, 2}; std::cout << v.size() << "\\n"; }\n' > v.cpp
printf 'v: v.cpp\n\tg++ -std=c++20 -o $@ $<\n' > Makefile
make -s && test "$(./v)" = 2
java -version 2>&1 | grep -q openjdk
