import type { GitLabAccess } from '#shared/gitlab/gitlab.ts';

/** What we are to a GitLab that signs people in for us. */
export interface SignInClient {
  readonly access: Omit<GitLabAccess, 'token'>;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Exactly as it is registered there. */
  readonly redirectUri: string;
  /** People are asked whether we may see what they read there, too. */
  readonly ownAccess: boolean;
}

/** Of one sign-in: what must come back, and what only who began it can show. */
export interface SignInProof { readonly state: string; readonly nonce: string; readonly codeVerifier: string }

/** What a person has let us see of theirs. Secret, both. */
export interface OwnTokens {
  readonly accessToken: string;
  readonly expiresInSeconds: number;
  /** Good once: whoever turns it in is given the next ones, and nobody else may use it. */
  readonly refreshToken: string;
}

/** Who came back, by the id that GitLab gave them. */
export interface Subject {
  readonly gitlabUserId: number;
  /** Undefined: nobody was asked for them, or GitLab gave none. */
  readonly tokens: OwnTokens | undefined;
}

/** `denied`: by who was asked there, or no longer by who was. `client`: our id or secret is not taken. `set-up`: it cannot be used as it is. `answer`: it proves nothing. */
export type SignInFailure = 'denied' | 'client' | 'set-up' | 'answer';

/** GitLab answered, and nobody is signed in by it. The message is for the log: it holds no token and no code. */
export class SignInFailed extends Error {
  override readonly name = 'SignInFailed';
  readonly failure: SignInFailure;

  constructor(failure: SignInFailure, message: string, cause?: unknown) {
    super(message, { cause });
    this.failure = failure;
  }
}

/** A GitLab that says who somebody is, by OpenID Connect. @throws SignInFailed | Unavailable */
export interface SignInProvider {
  /** Where the browser is sent. */
  authorizationUrl(client: SignInClient, proof: SignInProof): Promise<URL>;
  /** Who came back. @param answer the query that they came back with */
  subjectOf(client: SignInClient, proof: SignInProof, answer: URLSearchParams): Promise<Subject>;
  /** The next tokens for this one, which is good no longer. SignInFailed `denied`: it was not good any more. */
  turn(client: SignInClient, refreshToken: string): Promise<OwnTokens>;
}
