// The official SDK against the api service alone: EDGE_HEADERS stands in for the edge.
// Prints one JSON line per step.
import { createClient } from '@insforge/sdk';

const { BASE_URL: baseUrl, ANON_KEY: anonKey, EDGE_HEADERS } = process.env;
const headers = JSON.parse(EDGE_HEADERS);
const client = () => createClient({ baseUrl, anonKey, headers, isServerMode: true });
const say = (step, value) => console.log(JSON.stringify({ step, ...value }));
const account = { email: 'ann@example.com', password: 'correct horse', name: 'Ann' };

const first = client();
const up = await first.auth.signUp(account);
say('signUp', { email: up.data?.user?.email, error: up.error });
const again = await first.auth.signUp(account);
say('signUpAgain', { code: again.error?.error, status: again.error?.statusCode });

const second = client();
const wrong = await second.auth.signInWithPassword({ ...account, password: 'wrong' });
say('wrongPassword', { code: wrong.error?.error, status: wrong.error?.statusCode });
const signedIn = await second.auth.signInWithPassword(account);
say('signIn', { email: signedIn.data?.user?.email, error: signedIn.error });
// In server mode the caller keeps the tokens.
const { accessToken } = signedIn.data;
const current = await createClient({ baseUrl, headers, accessToken }).auth.getCurrentUser();
say('currentUser', { email: current.data?.user?.email, error: current.error });
const refreshed = await second.auth.refreshSession({ refreshToken: signedIn.data.refreshToken });
say('refresh', {
  email: refreshed.data?.user?.email,
  rotated: refreshed.data?.refreshToken !== signedIn.data.refreshToken,
  error: refreshed.error,
});
const profile = await second.auth.setProfile({ avatar_url: 'https://example.com/a.png' });
say('setProfile', { profile: profile.data?.profile, error: profile.error });
const config = await second.auth.getPublicAuthConfig();
say('publicConfig', { minimum: config.data?.passwordMinLength, error: config.error });
const out = await second.auth.signOut();
say('signOut', { error: out.error });
process.exit(0);
