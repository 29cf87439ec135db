"""Certificates for tests, made by the openssl command when they are needed: nothing secret is kept in the tree.

    with tempfile.TemporaryDirectory() as directory:
        made = Certificates(directory)
        made.ca                      # file with the authority that the tests trust
        made.good                    # Pair(certificate, key): localhost, 127.0.0.1, ::1
        made.expired, made.wrong_name, made.unknown_ca
"""

import pathlib
import subprocess
from typing import NamedTuple

_CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[local]
basicConstraints = CA:false
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
[elsewhere]
basicConstraints = CA:false
subjectAltName = DNS:elsewhere.example
[database]
database = {directory}/index.txt
new_certs_dir = {directory}
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
"""


class Pair(NamedTuple):
    certificate: str
    key: str


class Certificates:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self._config = self.directory / "openssl.cnf"
        self._config.write_text(_CONFIG.format(directory=self.directory))
        (self.directory / "index.txt").touch()
        ca = self._authority("ca")
        stranger = self._authority("stranger")
        self.ca = ca.certificate
        self.good = self._leaf("good", ca, "local")
        self.renewed = self._leaf("renewed", ca, "local")
        self.expired = self._leaf("expired", ca, "local",
                                  dates=("20200101000000Z", "20200201000000Z"))
        self.wrong_name = self._leaf("wrong-name", ca, "elsewhere")
        self.unknown_ca = self._leaf("unknown-ca", stranger, "local")

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(map(str, arguments))}:\n{done.stderr}")

    def _key(self, name):
        key = self.directory / f"{name}.key"
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-out", key)
        return key

    def _authority(self, name):
        key, certificate = self._key(name), self.directory / f"{name}.pem"
        self._openssl("req", "-x509", "-new", "-config", self._config, "-extensions", "ca",
                      "-key", key, "-subj", f"/CN=switchyard test {name}", "-days", "30",
                      "-out", certificate)
        return Pair(str(certificate), str(key))

    def _leaf(self, name, authority, extensions, dates=None):
        key, request = self._key(name), self.directory / f"{name}.csr"
        certificate = self.directory / f"{name}.pem"
        self._openssl("req", "-new", "-config", self._config, "-key", key, "-subj", f"/CN={name}",
                      "-out", request)
        life = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "30"]
        self._openssl("ca", "-batch", "-notext", "-config", self._config, "-name", "database",
                      "-cert", authority.certificate, "-keyfile", authority.key,
                      "-extensions", extensions, "-in", request, "-out", certificate, *life)
        return Pair(str(certificate), str(key))
