import { Unavailable } from '#shared/runtime/unavailable.ts';

/** Where on the way to a GitLab it ends. */
export type Obstacle =
  /** Its name is unknown to DNS. */
  | 'name'
  /** It is where nobody allowed it to be. */
  | 'address'
  | 'connection'
  /** It stood, and ended before an answer: a crash, a firewall, or a server that does not want who connects. */
  | 'cut'
  /** Its certificate is signed by nobody whom we trust. */
  | 'authority'
  /** Its certificate is not good for another reason, or the two speak no common TLS. */
  | 'tls'
  /** It asks who connects, and was not shown a certificate that it takes. */
  | 'client-certificate'
  | 'proxy'
  | 'proxy-login'
  | 'timeout';

/** No answer of GitLab, and why: for whom the way is to be mended. Whoever only waits takes it as Unavailable. */
export class Unreachable extends Unavailable {
  readonly obstacle: Obstacle;

  constructor(dependency: string, message: string, obstacle: Obstacle) {
    super(dependency, message);
    this.obstacle = obstacle;
  }
}
