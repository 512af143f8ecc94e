"""A picture is drawn with text in two scripts, turned, and saved in every usual format."""

from PIL import Image, ImageDraw, ImageFilter, ImageFont

picture = Image.new("RGB", (200, 100), "white")
draw = ImageDraw.Draw(picture)
draw.text((10, 10), "Hello", fill="black", font=ImageFont.truetype("DejaVuSans.ttf", 20))
draw.text((10, 50), "こんにちは", fill="blue", font=ImageFont.truetype("wqy-microhei.ttc", 20))
assert len(set(picture.get_flattened_data())) > 10
for kind in ("png", "jpg", "gif", "webp", "tiff", "bmp", "ico", "avif"):
    picture.filter(ImageFilter.BLUR).rotate(90, expand=True).save(f"picture.{kind}")
    with Image.open(f"picture.{kind}") as again:
        again.load()
        assert again.size == ((100, 200) if kind != "ico" else again.size), kind
