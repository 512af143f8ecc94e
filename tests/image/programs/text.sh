# The tools people search, count and cut text with.
mkdir src && printf 'alpha 1\nbeta 2\ngamma 3\n' > src/words.txt && echo 'def depth(): return 923' > src/sphere.py
test "$(rg -c 'a' src/words.txt)" = 3
test "$(rg -l --type py depth src)" = src/sphere.py
test "$(fd -e py . src)" = src/sphere.py
test "$(fd sphere)" = src/sphere.py
test "$(find src -name '*.txt' -print0 | xargs -0 wc -l | awk '{print $1}')" = 3
test "$(sed -n 's/beta/b/p' src/words.txt | grep -o '^b')" = b
test "$(awk '{s += $2} END {print s}' src/words.txt)" = 6
test "$(sort -r src/words.txt | head -1 | cut -d' ' -f1)" = gamma
test "$(echo '{"a": [1, 2, {"b": "ü"}]}' | jq -r '.a[2].b')" = ü
test "$(perl -ne 'print if /gam+a/' src/words.txt)" = "gamma 3"
column -t src/words.txt | grep -q 'gamma  3'
tree src | grep -q '2 files'
test "$(less src/words.txt | wc -l)" = 3
test "$(file -b --mime-type src/words.txt)" = text/plain
sed 's/alpha/omega/' src/words.txt > new.txt; diff -u src/words.txt new.txt > change.patch || true
patch -s src/words.txt change.patch && cmp src/words.txt new.txt
ps aux | grep -q '[p]s aux'
