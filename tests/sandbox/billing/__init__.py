"""What is owed: exact amounts, invoices' lines, discounts and taxes, and how invoices are collected."""
