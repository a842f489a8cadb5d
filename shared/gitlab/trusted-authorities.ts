import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

/** Where Linux distributions and macOS keep the system's authorities. Node 20 cannot ask for them itself. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem'];

/**
 * The system's authorities and a source's own, as one PEM bundle. Both undici's `ca` and git's `http.sslCAInfo` REPLACE
 * what is trusted, so a bundle of the source's alone would cut off a GitLab that changes to a public certificate.
 */
export function trustedAuthorities(caPem: string): string {
  return [systemAuthorities(), caPem.trim(), ''].join('\n');
}

function systemAuthorities(): string {
  for (const path of SYSTEM_BUNDLES) {
    try {
      const bundle = readFileSync(path, 'utf8').trim();
      if (bundle !== '') return bundle;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    }
  }
  return rootCertificates.join('\n');
}
