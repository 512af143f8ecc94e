# bc calculates beyond what the shell can; sqlite3 keeps a table.
test "$(echo 'scale=20; 4*a(1)' | bc -l | cut -c1-14)" = 3.141592653589
test "$(echo '2^100' | bc)" = 1267650600228229401496703205376
sqlite3 sea.db "create table dives(name, depth); insert into dives values ('Bermuda', 923), ('Trieste', 10911);"
test "$(sqlite3 sea.db 'select name from dives where depth > 1000')" = Trieste
printf 'a,b\n1,2\n3,4\n' > t.csv
test "$(sqlite3 :memory: -cmd '.mode csv' -cmd '.import t.csv t' 'select sum(b) from t')" = 6
test "$(sqlite3 -json sea.db 'select max(depth) as d from dives')" = '[{"d":10911}]'
python3 -c 'import sqlite3; assert sqlite3.connect("sea.db").execute("select count(*) from dives").fetchone() == (2,)'
