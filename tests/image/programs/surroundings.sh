# Who and where a program finds itself to be; what it may write; which names answer.
test "$(id -un):$(id -u):$(id -g)" = user:1000:1000
test "$PWD:$HOME" = /home/user:/home/user
test "$(hostname)" = bathysphere || test -n "$(hostname)"
test "$(locale charmap)" = UTF-8
test "$(python --version)" = "$(python3 --version)"
python3 -c 'import sys; assert sys.version_info[:2] == (3, 11); assert sys.executable == "/usr/bin/python3"'
grep -q '^127.0.0.1 localhost$' /etc/hosts
test ! -s /etc/resolv.conf && test ! -s /etc/machine-id
test -z "$(find / -xdev -perm /6000 2> /dev/null)"
test -z "$(find / -xdev ! -type l ! -readable 2> /dev/null)"
if touch /usr/x /etc/x /x 2> /dev/null; then exit 1; fi
touch /tmp/x ~/x
# Without a network the answer comes at once and is plain.
if curl -sS http://example.com 2> curl.txt; then exit 1; fi
grep -q 'Could not resolve host' curl.txt
