# A page of HTML becomes a PDF, the PDF text and a picture.
echo '<meta charset=utf-8><h1>Depth</h1><p>水深 923 m</p>' > page.html
wkhtmltopdf -q page.html page.pdf 2> /dev/null
pdftotext page.pdf - | grep -q '水深 923 m'
pdfinfo page.pdf | grep -q '^Pages: *1$'
pdftoppm -png -r 50 page.pdf page && file page-1.png | grep -q 'PNG image data'
wkhtmltoimage -q page.html page.jpg 2> /dev/null && file page.jpg | grep -q 'JPEG image data'
fc-list :lang=ja family | grep -q WenQuanYi
fc-list :lang=ko family | grep -q WenQuanYi
fc-list | grep -q Liberation
