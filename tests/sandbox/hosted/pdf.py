"""A small PDF, written by hand: one page of Helvetica with the invoice's lines."""
from datetime import datetime, timezone

from ..billing import money

PAGE_HEIGHT, MARGIN, LEADING = 842, 56, 16
MOST_LINES = 44


def of_invoice(invoice, customer):
    day = datetime.fromtimestamp(invoice["status_transitions"]["finalized_at"], timezone.utc).strftime("%d %B %Y")
    shown = lambda amount: money.shown(amount, invoice["currency"])
    rows = ["Invoice " + invoice["number"], day, customer["name"] or customer["email"] or customer["id"], ""]
    rows += ["%s   %s" % (line["description"] or "", shown(line["amount"])) for line in invoice["lines"]["data"]]
    rows += ["", "Subtotal   " + shown(invoice["subtotal"])]
    rows += ["Discount   -" + shown(d["amount"]) for d in invoice["total_discount_amounts"]]
    rows += ["Tax   " + shown(tax["amount"]) for tax in invoice["total_taxes"]]
    rows += ["Total   " + shown(invoice["total"]), "Amount due   " + shown(invoice["amount_due"]),
             "Amount paid   " + shown(invoice["amount_paid"])]
    return document(rows)


def text_of(row):
    """A PDF string: WinAnsi bytes, with its own characters escaped."""
    raw = row.encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def document(rows):
    pages = [rows[i:i + MOST_LINES] for i in range(0, len(rows), MOST_LINES)]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>",
               b"<< /Type /Pages /Kids [%s] /Count %d >>" % (
                   b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(len(pages))), len(pages)),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"]
    for i, page in enumerate(pages):
        content = b"BT /F1 11 Tf %d TL %d %d Td\n" % (LEADING, MARGIN, PAGE_HEIGHT - MARGIN)
        content += b"".join(b"(%s) Tj T*\n" % text_of(row) for row in page) + b"ET"
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 %d] /Contents %d 0 R "
                       b"/Resources << /Font << /F1 3 0 R >> >> >>" % (PAGE_HEIGHT, 5 + 2 * i))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)
