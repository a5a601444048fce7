"""The pages that Stripe hosts, as plain HTML with forms: checkout, the portal, invoices and their PDF."""
