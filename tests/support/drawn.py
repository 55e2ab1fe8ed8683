"""Photos of drawn packs: a supplier's picture of each, and photos that an embedding alone is far from sure of."""

from __future__ import annotations

from PIL import Image

from catalog.demo import packs
from catalog.demo.products import Product, products
from tests.support.pictures import encode


def _of_every_family() -> list[Product]:
    one = {product.family or product.sku: product for product in products() if product.known}
    return list(one.values())


#: Packs that are no look-alikes of each other.
DRAWN = _of_every_family()


def front(product: Product, angle: float = 0.0, ground: str = "white") -> bytes:
    """The pack as a supplier shows it: straight (unless turned), and nothing else in the picture."""
    pack = packs.draw(product).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    canvas = Image.new("RGB", pack.size, ground)
    canvas.paste(pack, mask=pack.getchannel("A"))
    return encode(canvas, quality=92)


def small_and_turned(product: Product) -> bytes:
    """The pack as no reference shows it, on a dark ground: its middle is at about 0.68 and 0.48 of the photo."""
    pack = packs.draw(product)
    pack.thumbnail((500, 500))
    pack = pack.rotate(30, Image.Resampling.BICUBIC, expand=True)
    ground = Image.new("RGB", (1000, 800), (60, 50, 40))
    ground.paste(pack, (400, 80), pack)
    return encode(ground, quality=90)


def side_by_side(left: Product, right: Product) -> bytes:
    """Two packs in one photo."""
    ground = Image.new("RGB", (1200, 800), (60, 50, 40))
    for product, x in ((left, 60), (right, 660)):
        pack = packs.draw(product)
        pack.thumbnail((480, 480))
        ground.paste(pack, (x, 150), pack)
    return encode(ground, quality=90)
