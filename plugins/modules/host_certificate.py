#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: host_certificate
short_description: A host's key and certificate for one use
version_added: 0.1.0
description:
  - The part of the action of the same name that runs on the host. It checks the present certificate, creates a new key
    and a request where a new certificate is needed, and installs the signed one. The key never leaves the host.
  - Works with the C(openssl) program (1.0.2 or newer) alone, because old hosts lack Python's C(cryptography).
  - A folder for each use is a link to a hidden folder that holds key, certificate and both in one file. A new
    folder is filled first and then put in place by one rename, so that key and certificate always match.
options:
  step:
    description: C(look) checks the certificate and makes a request, C(install) puts the signed certificate in place,
      C(issued) lists the uses whose certificate is of another CA than O(signer).
    type: str
    choices: [look, install, issued]
    required: true
  directory:
    description: Folder that holds a folder for each use.
    type: path
    required: true
  use:
    description: Name of the folder, and unit of the subject. Needed by all but C(issued).
    type: str
    default: ""
  group:
    description: Group that may read the key.
    type: str
    default: root
  host:
    description: Common name of the subject.
    type: str
    default: ""
  names:
    description: Addresses and DNS names that clients use.
    type: list
    elements: str
    default: []
  trusted:
    description: The trusted certificates, PEM. C(install) refuses a certificate that they do not verify.
    type: str
    default: ""
  signer:
    description: The certificate of the CA that signs now, PEM. A certificate of another one is replaced.
    type: str
    default: ""
  certificate:
    description: The signed certificate and its intermediates, PEM.
    type: str
    default: ""
  pending:
    description: Name of the folder that holds the key of the request.
    type: str
    default: ""
  key:
    description: A ready key from the control node, PEM, where the site brings its own.
    type: str
    default: ""
author:
  - The ObsCraft authors (@obscraft)
attributes:
  check_mode:
    support: full
    description: Says whether a new certificate is due, and makes no key.
"""

EXAMPLES = r"""
- name: Look at the brokers' certificate
  obscraft.fleet.host_certificate:
    step: look
    directory: /etc/obscraft/tls
    use: kafka
    group: kafka
    host: node1
    names: [192.168.100.150, node1]
    trusted: "{{ lookup('ansible.builtin.file', fleet_tls_ca_file) }}"
    signer: "{{ lookup('ansible.builtin.file', fleet_tls_ca_file) }}"
"""

RETURN = r"""
others:
  description: Uses whose certificate is of another CA.
  type: list
  elements: str
  returned: for C(issued)
due:
  description: Why a new certificate is needed; empty where what is there is good.
  type: str
  returned: for C(look) and C(install)
request:
  description: Certificate request, PEM.
  type: str
  returned: when one is due, but for check mode
pending:
  description: Name of the folder that holds the key of the request.
  type: str
  returned: when one is due, but for check mode
now:
  description: The host's time, in seconds since the epoch.
  type: float
  returned: when one is due, but for check mode
"""

import calendar
import io
import os
import re
import shutil
import socket
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

CERTIFICATE, KEY, KEYSTORE = "cert.pem", "key.pem", "keystore.pem"
#: File to its mode; those that hold the key are the group's too.
MODES = ((CERTIFICATE, 0o644), (KEY, 0o640), (KEYSTORE, 0o640))
#: A certificate is replaced when no more than this part of its life is left.
SHARE_LEFT = 1 / 3.0
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = re.compile(r"(\w{3})\s+(\d+) (\d+):(\d+):(\d+) (\d{4}) GMT")
#: As the program prints the alternative names.
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED; looked at after the signature.
OF_TIME = re.compile(r"error (9|10) at ")
NAMES = re.compile(r"X509v3 Subject Alternative Name:[^\n]*\n\s*([^\n]*)")


def seconds(text):
    """Return a date of the openssl program in seconds since the epoch.

    Not by strptime, which expects the months of the host's own language.
    """
    month, day, hour, minute, second, year = DATE.search(text).groups()
    return calendar.timegm((int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)))


def plain_name(name):
    """Return an address or a DNS name in one spelling; the program writes IPv6 addresses in its own."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, name))
        except (socket.error, ValueError):
            continue
    return name.lower()


def names_in(text):
    """Return the alternative names in what C(openssl x509 -text) prints."""
    found = NAMES.search(text)
    entries = [entry.strip().partition(":") for entry in found.group(1).split(",")] if found else []
    return sorted(plain_name(value) for _kind, _colon, value in entries)


def life_fault(start, end, now):
    """Return why the time calls for a new certificate, or None; all in seconds since the epoch."""
    if now < start:
        return "it is not valid yet"
    if now >= end:
        return "it has expired"
    if end - now <= (end - start) * SHARE_LEFT:
        return "%.1f of its %.1f days are left" % ((end - now) / 86400.0, (end - start) / 86400.0)
    return None


class Host(object):
    """One use of a host."""

    def __init__(self, module):
        self.module = module
        self.directory = module.params["directory"]
        self.use = module.params["use"]
        self.path = os.path.join(self.directory, self.use)
        self.scratch = tempfile.mkdtemp(dir=module.tmpdir)

    def openssl(self, *arguments):
        """Return (exit code, output, errors); no CA of the system is trusted."""
        empty = os.path.join(self.scratch, "no-cas")
        if not os.path.isdir(empty):
            os.mkdir(empty)
        environment = {"LC_ALL": "C", "SSL_CERT_DIR": empty, "SSL_CERT_FILE": os.devnull}
        return self.module.run_command(["openssl"] + list(arguments), environ_update=environment)

    def asked(self, *arguments):
        """Return the output, or fail."""
        code, output, errors = self.openssl(*arguments)
        if code != 0:
            self.module.fail_json(msg="openssl %s failed: %s" % (arguments[0], (errors or output).strip()))
        return output

    def file(self, name):
        """Return the path of one of the files in place."""
        return os.path.join(self.path, name)

    def temporary(self, name, text):
        """Return the path of a file with this text."""
        path = os.path.join(self.scratch, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def fault(self):
        """Return why what is there is not good, or None."""
        for name, _mode in MODES:
            if not os.path.isfile(self.file(name)):
                return "there is none yet" if not os.path.lexists(self.path) else "%s is missing" % name
        certificate = self.file(CERTIFICATE)
        code, text, _errors = self.openssl(
            "x509", "-in", certificate, "-noout", "-text", "-nameopt", "RFC2253", "-subject", "-startdate", "-enddate"
        )
        if code != 0:
            return "%s cannot be read" % CERTIFICATE
        shown = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"(subject|notBefore|notAfter)=", line))
        wanted = "CN=%(host)s,OU=%(use)s,O=obscraft" % self.module.params
        names = sorted(set(plain_name(name) for name in self.module.params["names"]))
        if shown["subject"].strip() != wanted:
            return "its subject is %s, not %s" % (shown["subject"].strip(), wanted)
        if names_in(text) != names:
            return "it is for %s, not for %s" % (", ".join(names_in(text)) or "no name", ", ".join(names))
        return (
            life_fault(seconds(shown["notBefore"]), seconds(shown["notAfter"]), time.time())
            or self.key_fault()
            or self.chain_fault()
        )

    def key_fault(self):
        """Return how key, certificate and keystore differ, or None."""
        # For an encrypted key the program would prompt on the terminal.
        code, own, _errors = self.openssl("pkey", "-in", self.file(KEY), "-pubout", "-passin", "pass:")
        public = self.asked("x509", "-in", self.file(CERTIFICATE), "-noout", "-pubkey")
        if code != 0 or own.strip() != public.strip():
            return "%s is not the key of the certificate" % KEY
        if read(self.file(KEYSTORE)) != read(self.file(KEY)) + read(self.file(CERTIFICATE)):
            return "%s differs from key and certificate" % KEYSTORE
        return None

    def chain_fault(self):
        """Return why the fleet would not trust it, or None."""
        path = self.file(CERTIFICATE)
        fault = self.verify("trusted", ["-untrusted", path], path)
        if fault:
            return "it is not signed by a trusted CA (%s)" % fault
        fault = self.verify("signer", ["-partial_chain"], path)
        return "the CA has changed (%s)" % fault if fault else None

    def verify(self, name, options, path):
        """Return why a certificate does not verify against those of a parameter, or None."""
        arguments = ["verify"] + options + ["-CAfile", self.temporary(name, self.module.params[name]), path]
        code, output, errors = self.openssl(*arguments)
        # Version 1.0.2 ends with 0 for some faults too.
        found = re.search(r"^error \d+[^\n]*", output + errors, re.MULTILINE)
        if code != 0 or found:
            return found.group(0) if found else (errors or output).strip()
        return None

    def request(self):
        """Make a key and return (request, name of its folder)."""
        os.umask(0o077)
        folder = tempfile.mkdtemp(prefix=".%s-" % self.use, dir=self.directory)
        key = os.path.join(folder, KEY)
        self.asked("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                   "-pkeyopt", "ec_param_enc:named_curve", "-out", key)  # fmt: skip
        # The CA takes the key from it and nothing else.
        config = self.temporary("request.cnf", "[req]\nprompt = no\ndistinguished_name = dn\n[dn]\nO = obscraft\n")
        return self.asked("req", "-new", "-sha256", "-key", key, "-config", config), os.path.basename(folder)

    def attributes(self, path, changed):
        """Give the files in a folder their modes and return whether one of them differed."""
        changed = self.module.set_mode_if_different(path, 0o755, changed)
        for name, mode in MODES:
            group = "0" if name == CERTIFICATE else self.module.params["group"]
            at = os.path.join(path, name)
            changed = self.module.set_owner_if_different(at, str(os.geteuid()), changed)
            changed = self.module.set_group_if_different(at, group, changed)
            changed = self.module.set_mode_if_different(at, mode, changed)
        return changed

    def install(self, folder, certificate):
        """Fill the folder that holds the new key, and put it in place."""
        at = os.path.join(folder, CERTIFICATE)
        os.umask(0o077)
        write(at, certificate)
        key = os.path.join(folder, KEY)
        if self.asked("pkey", "-in", key, "-pubout").strip() != self.asked("x509", "-in", at, "-noout", "-pubkey").strip():
            self.module.fail_json(msg="the signed certificate is not for the key of the request: run this again")
        fault = self.verify("trusted", ["-untrusted", at], at)
        if fault:
            shutil.rmtree(folder)
            self.module.fail_json(
                msg="openssl on this host refuses the new certificate, so the present one stays: %s. Look for the "
                "reason in the certificates of the CA (and at this host's clock)" % fault
            )
        write(os.path.join(folder, KEYSTORE), read(key) + certificate)
        self.attributes(folder, False)
        self.replace(folder)

    def replace(self, folder):
        """Let the use's name lead to another folder, by one rename, and remove the others."""
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            try:
                os.rmdir(self.path)
            except OSError:
                self.module.fail_json(msg="%s is a folder that this module did not create: move it away" % self.path)
        link = os.path.join(self.directory, ".%s.link" % self.use)
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(os.path.basename(folder), link)
        os.rename(link, self.path)
        for name in os.listdir(self.directory):
            if name.startswith(".%s-" % self.use) and name != os.path.basename(folder):
                shutil.rmtree(os.path.join(self.directory, name))


def read(path):
    """Return a file's text; a byte that PEM does not have is replaced, so that a damaged file differs."""
    with io.open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def write(path, text):
    """Write a file."""
    with open(path, "w") as file:
        file.write(text)


def look(host):
    """Return what the module answers to C(look)."""
    due = host.fault()
    if due is None:
        return {"changed": host.attributes(os.path.realpath(host.path), False), "due": ""}
    if host.module.check_mode:
        return {"changed": True, "due": due}
    request, pending = host.request()
    return {"changed": True, "due": due, "request": request, "pending": pending, "now": time.time()}


def install(host):
    """Return what the module answers to C(install)."""
    params = host.module.params
    if not params["key"]:
        host.install(os.path.join(host.directory, os.path.basename(params["pending"])), params["certificate"])
        return {"changed": True, "due": ""}
    wanted = {KEY: params["key"], CERTIFICATE: params["certificate"], KEYSTORE: params["key"] + params["certificate"]}
    if all(os.path.isfile(host.file(name)) and read(host.file(name)) == text for name, text in wanted.items()):
        return {"changed": host.attributes(os.path.realpath(host.path), False), "due": ""}
    if not host.module.check_mode:
        os.umask(0o077)
        folder = tempfile.mkdtemp(prefix=".%s-" % host.use, dir=host.directory)
        write(os.path.join(folder, KEY), params["key"])
        host.install(folder, params["certificate"])
    return {"changed": True, "due": "the site's certificate has changed"}


def issued(host):
    """Return what the module answers to C(issued)."""
    paths = certificates_in(host.directory)
    faults = ((name, host.verify("signer", ["-partial_chain"], paths[name])) for name in sorted(paths))
    # One whose time is over, or has not come, has passed the signature's test: it is renewed, and not of another CA.
    return {"changed": False, "others": [name for name, fault in faults if fault and not OF_TIME.match(fault)]}


def certificates_in(directory):
    """Return use to its certificate's path, of the uses that have one."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    paths = dict((name, os.path.join(directory, name, CERTIFICATE)) for name in names if name[0] != ".")
    return dict((name, path) for name, path in paths.items() if os.path.isfile(path))


def main():
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "choices": ["look", "install", "issued"], "required": True},
            "directory": {"type": "path", "required": True},
            "use": {"type": "str", "default": ""},
            "group": {"type": "str", "default": "root"},
            "host": {"type": "str", "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "trusted": {"type": "str", "default": ""},
            "signer": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "pending": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    # A host that is a client only has no certificate, and perhaps not the program.
    needed = module.params["step"] != "issued" or certificates_in(module.params["directory"])
    if needed and module.get_bin_path("openssl") is None:
        if module.check_mode:
            module.exit_json(changed=True, due="there is none yet")
        module.fail_json(msg="the program openssl is missing: install the package openssl")
    host = Host(module)
    try:
        answer = {"look": look, "install": install, "issued": issued}[module.params["step"]](host)
    except (OSError, IOError) as error:
        module.fail_json(msg="%s: %s" % (error.filename or host.path, error.strerror))
    finally:
        shutil.rmtree(host.scratch, ignore_errors=True)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
