// Certificates for a broker that speaks TLS, signed by themselves, made by openssl.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

// A folder with `cert.pem` and `key.pem` for 127.0.0.1; `renew` writes others in their place.
export function certificate() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shardwire-test-'));
  const cert_file = path.join(folder, 'cert.pem');
  const key_file = path.join(folder, 'key.pem');
  const renew = () =>
    execFileSync('openssl', [
      ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost'.split(' '),
      '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost',
      '-keyout', key_file, '-out', cert_file,
    ], { stdio: 'ignore' });
  renew();
  return {
    settings: { cert_file, key_file },
    renew,
    pem: () => readFileSync(cert_file),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
