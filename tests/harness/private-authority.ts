import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Certified { readonly certFile: string; readonly keyFile: string; readonly certPem: string; readonly keyPem: string }

/** An authority of nobody's but the test's, which certifies servers and who connects to them. */
export interface PrivateAuthority {
  readonly certFile: string;
  readonly certPem: string;
  server(host: string): Certified;
  client(name: string): Certified;
}

/** Without it a machine cannot make certificates: tests that need them are skipped there, by name. */
export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function makeAuthority(directory: string, name = 'authority'): PrivateAuthority {
  const fileOf = (what: string) => path.join(directory, `${name}-${what}.pem`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [certFile, keyFile] = [fileOf('cert'), fileOf('key')];
  openssl('req', '-x509', ...EC, '-days', '2', '-subj', `/CN=${name}`, '-out', certFile, '-keyout', keyFile);

  function certify(what: string, extensions: string): Certified {
    const [request, own, extra] = [fileOf(`${what}-request`), { certFile: fileOf(`${what}-cert`), keyFile: fileOf(`${what}-key`) }, fileOf(`${what}-extensions`)];
    writeFileSync(extra, extensions);
    openssl('req', ...EC, '-subj', `/CN=${what}`, '-out', request, '-keyout', own.keyFile);
    openssl('x509', '-req', '-in', request, '-CA', certFile, '-CAkey', keyFile, '-CAcreateserial', '-days', '2', '-extfile', extra, '-out', own.certFile);
    return { ...own, certPem: readFileSync(own.certFile, 'utf8'), keyPem: readFileSync(own.keyFile, 'utf8') };
  }
  return {
    certFile,
    certPem: readFileSync(certFile, 'utf8'),
    server: (host) => certify(host, `subjectAltName=${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}\nextendedKeyUsage=serverAuth\n`),
    client: (who) => certify(who, 'extendedKeyUsage=clientAuth\n'),
  };
}
