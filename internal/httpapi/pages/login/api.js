// The calls of the service, and the tokens. Everything here would be the same in an app of your own.

const root = new URL('..', import.meta.url) // the service, whatever path a proxy gives it

// A Problem is why a call failed. Its code is one of openapi.yaml, or offline, unreachable or timeout.
export class Problem extends Error {
  constructor(code, retryAfter = 0) {
    super(code)
    this.code = code
    this.retryAfter = retryAfter // seconds
  }
}

export async function call(method, path, { body, token } = {}) {
  const headers = { Accept: 'application/json' }
  if (body) headers['Content-Type'] = 'application/json'
  if (token) headers.Authorization = `Bearer ${token}`
  let response, text
  try {
    response = await fetch(new URL(path, root), {
      method, headers, body: body && JSON.stringify(body), cache: 'no-cache', credentials: 'omit', signal: AbortSignal.timeout(12_000),
    })
    text = await response.text()
  } catch (error) {
    throw new Problem(error.name === 'TimeoutError' ? 'timeout' : navigator.onLine ? 'unreachable' : 'offline')
  }
  let answer
  try {
    answer = text ? JSON.parse(text) : {}
  } catch {
    answer = { code: text.trim() === 'no no no' ? 'invalid_code' : 'internal_error' } // a proxy's page, for example
    if (response.ok) throw new Problem(answer.code)
  }
  if (!response.ok) throw new Problem(answer.code ?? 'internal_error', answer.retry_after)
  return answer
}

// tab and browser are what a tab and a browser remember. Where the person forbids it, the page does.
export const tab = storage('sessionStorage')
export const browser = storage('localStorage')

function storage(name) {
  try {
    window[name].removeItem('otp')
    return window[name]
  } catch {
    const items = new Map()
    return { getItem: key => items.get(key) ?? null, setItem: (key, value) => items.set(key, value), removeItem: key => items.delete(key) }
  }
}

// recall is what the tab remembers as JSON. What is not JSON is nothing.
export function recall(key) {
  try {
    return JSON.parse(tab.getItem(key))
  } catch {
    return null
  }
}

// The access token lives in this page's memory alone. The refresh token has to outlive a reload, so it is in
// sessionStorage, which ends with the tab and which no other site can read. Neither is safe from a script that runs in
// this page, and that is why its policy allows none but the service's own. An app with a server of its own behind the
// page keeps the refresh token there, and gives the browser an HttpOnly cookie.
const kept = 'otp.refresh_token'
let access, refreshing

// A tab that was duplicated has the same refresh token, and a spent one would end the session of both. It learns of the
// next one, and of the logout.
const twins = channel('otp.refresh_token')
twins.onmessage = ({ data: { spent, next } }) => {
  if (tab.getItem(kept) !== spent) return
  if (next) return tab.setItem(kept, next)
  drop()
  dispatchEvent(new Event('loggedout'))
}

function channel(name) {
  try {
    return new BroadcastChannel(name)
  } catch { // forbidden together with storage, and without that there are no twins
    return { postMessage() {} }
  }
}

export const isLoggedIn = () => tab.getItem(kept) !== null

export function logIn({ access_token, expires_in, refresh_token }) {
  access = { token: access_token, until: Date.now() + (expires_in - 10) * 1000 }
  tab.setItem(kept, refresh_token)
}

export function forget() {
  const spent = tab.getItem(kept)
  drop()
  if (spent) twins.postMessage({ spent })
}

function drop() {
  access = undefined
  tab.removeItem(kept)
}

// refresh gets new tokens. A refresh token works once, so calls that need new ones at the same time share one refresh.
function refresh() {
  refreshing ??= renew().finally(() => { refreshing = undefined })
  return refreshing
}

// renew spends the refresh token. After a lost answer it can be asked again for ten seconds. A twin, a logout or another
// login may be faster than the answer, and then the answer is not for those who are logged in now.
async function renew() {
  const spent = tab.getItem(kept)
  if (!spent) throw new Problem('invalid_refresh_token')
  let tokens
  try {
    tokens = await call('POST', 'token/refresh', { body: { refresh_token: spent } })
  } catch (problem) {
    if (tab.getItem(kept) === spent) {
      if (problem.code === 'invalid_refresh_token') forget()
      throw problem
    }
  }
  if (tab.getItem(kept) !== spent) return renew()
  logIn(tokens)
  twins.postMessage({ spent, next: tokens.refresh_token })
}

// withToken makes a call in the name of the user, with a token that is refreshed when it is due or refused.
export async function withToken(method, path) {
  if (!access || Date.now() > access.until) await refresh()
  try {
    return await call(method, path, { token: access.token })
  } catch (problem) {
    if (problem.code !== 'invalid_token') throw problem
  }
  await refresh()
  return call(method, path, { token: access.token })
}
