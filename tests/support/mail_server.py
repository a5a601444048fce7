"""A mail server (aiosmtpd) with faults on demand, and certificates for it."""

import email
import email.policy
import ssl
import subprocess

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

USER, PASSWORD = "meterline", "let me in: ä"


def make_certificate(folder, *names):
    """(certificate, key), self-signed, for these names and addresses."""
    certificate, key = folder / "mail.pem", folder / "mail.key"
    names = ",".join(f"{'IP' if name[0].isdigit() or ':' in name else 'DNS'}:{name}" for name in names)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail",
                    "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate], check=True,
                   capture_output=True)
    return certificate, key


class MailServer:
    """fault(step, text, number): the reply to the number-th MAIL, RCPT or DATA for that address; None: as usual."""

    def __init__(self, fault=lambda step, text, number: None, host="127.0.0.1", port=0, certificate=None, implicit=False,
                 login=False):
        self.mails = []  # (sender, recipients, EmailMessage), as they come
        self.logins = 0
        self._counts = {}
        self._fault = fault
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        options = {"authenticator": self._authenticate, "auth_required": True,
                   "auth_require_tls": certificate is not None and not implicit} if login else {}
        if context and not implicit:
            options |= {"tls_context": context, "require_starttls": True}
        self._controller = _Controller(self, hostname=host, port=port, enable_SMTPUTF8=True, ready_timeout=20,
                                       ssl_context=context if implicit else None, **options)
        self._controller.start()
        self.port = self._controller.server.sockets[0].getsockname()[1]
        at = f"{USER}@" if login else ""
        where = f"[{host}]" if ":" in host else host
        self.url = f"smtp{'s' if implicit else ''}://{at}{where}:{self.port}"

    def _authenticate(self, server, session, envelope, mechanism, data):
        self.logins += 1
        return AuthResult(handled=False, success=data.login == USER.encode() and data.password == PASSWORD.encode())

    def answer(self, step, text):
        self._counts[step, text] = self._counts.get((step, text), 0) + 1
        return self._fault(step, text, self._counts[step, text])

    # aiosmtpd's hooks.

    async def handle_MAIL(self, server, session, envelope, address, options):
        fault = self.answer("MAIL", address)
        if not fault:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return fault or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        fault = self.answer("RCPT", address)
        if not fault:
            envelope.rcpt_tos.append(address)
        return fault or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        fault = self.answer("DATA", envelope.rcpt_tos[0])
        if not fault:
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, message))
        return fault or "250 OK"

    def ids(self):
        return [message["Message-ID"] for _, _, message in self.mails]

    def close(self):
        if self._controller.server:
            self._controller.stop()


class _Controller(Controller):
    """With port 0, which aiosmtpd's own check of having started does not know."""

    def _trigger_server(self):
        if self.port == 0:
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
