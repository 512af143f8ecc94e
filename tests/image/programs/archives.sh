# zip, unzip, 7z, tar with every compression, and bsdtar pass the same folder around.
mkdir -p folder/deep && echo "the sea" > folder/deep/note.txt && seq 1000 > folder/numbers.txt
check() { diff -r folder "$1/folder" && rm -r "$1"; }
zip -qr a.zip folder && unzip -q a.zip -d out && check out
7z a -bd b.7z folder > /dev/null && 7z x -bd -oout b.7z > /dev/null && check out
7z l b.7z | grep -q 'folder/numbers.txt'
7z a -bd -psecret c.7z folder > /dev/null && 7z x -bd -psecret -oout c.7z > /dev/null && check out
for flag in z j J; do mkdir out; tar -c${flag}f d.tar folder; tar -x${flag}f d.tar -C out; check out; done
mkdir out; tar --zstd -cf e.tar.zst folder; tar --zstd -xf e.tar.zst -C out; check out
gzip -k folder/numbers.txt && gunzip -c folder/numbers.txt.gz | cmp - folder/numbers.txt
