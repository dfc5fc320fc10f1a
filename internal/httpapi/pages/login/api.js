// @ts-check
// The calls of the service that need no access token. This file would be the same in an app of your own.

/** @import { AskedPhone, Channel, DevMessage, LiveCode, LoginReply } from './_types.js' */
/** @import { SendReply, StatusReply, TokenReply } from './_types.js' */

const root = new URL('..', import.meta.url) // of the service, under whatever path a proxy serves it

/** The service's clock, as far as its replies tell it, in milliseconds. */
export const clock = {
  ahead: 0, // of this machine's clock
  now() {
    return Date.now() + this.ahead
  },
}

/** A Problem is the reason why a call failed. Its code is one of openapi.yaml, or offline, unreachable or timeout. */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {number} [retryAfter] seconds
   * @param {LiveCode} [live] the code of an earlier message that still works, if a request was refused
   */
  constructor(code, retryAfter = 0, live = undefined) {
    super(code)
    this.code = code
    this.retryAfter = retryAfter
    this.live = live
  }

  /**
   * Returns what a catch clause has caught as a Problem. Anything else is a fault of this page, and is logged.
   *
   * @param {unknown} caught
   */
  static from(caught) {
    if (caught instanceof Problem) return caught
    console.error(caught)
    return new Problem('internal_error')
  }
}

/**
 * Calls the service, and returns the JSON of its reply, or {} if that is empty. It throws a Problem.
 *
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, token?: string, keepalive?: boolean }} [options] keepalive: the call outlives the page
 */
export async function call(method, path, { body, token, keepalive } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: 'application/json' }
  if (body) headers['Content-Type'] = 'application/json'
  if (token) headers.Authorization = `Bearer ${token}`
  let response, text
  try {
    response = await fetch(new URL(path, root), {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: 'no-cache',
      credentials: 'omit',
      keepalive,
      signal: AbortSignal.timeout(12_000),
    })
    text = await response.text()
    clock.ahead = (Date.parse(response.headers.get('Date') ?? '') || Date.now()) - Date.now()
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') throw new Problem('timeout')
    throw new Problem(navigator.onLine ? 'unreachable' : 'offline')
  }
  let reply
  try {
    reply = text ? JSON.parse(text) : {}
  } catch { // a proxy may answer with a page of its own
    throw new Problem(text.trim() === 'no no no' ? 'invalid_code' : 'internal_error')
  }
  if (!response.ok) throw new Problem(reply.code ?? 'internal_error', reply.retry_after, reply.code_live && reply)
  return reply
}

/**
 * Asks for a message with a code. A live code is sent again.
 *
 * @param {AskedPhone} phone
 * @param {{ locale: string, channel?: Channel, device_token?: string }} options channel defaults to the one that the
 * service chooses; device_token is that of the last login with the phone
 * @returns {Promise<SendReply>}
 */
export const requestCode = (phone, options) => call('POST', 'otp/request', { body: { ...phone, ...options } })

/**
 * @param {AskedPhone} phone as it was in the request
 * @param {string} code
 * @param {{ request_id?: string, device_token?: string }} options request_id is that of the request
 * @returns {Promise<LoginReply>}
 */
export const verifyCode = (phone, code, options) =>
  call('POST', 'otp/verify', { body: { ...phone, code, ...options } })

/**
 * Returns the status of a send. The Problem is not_found once the code is dead.
 *
 * @param {string} ticket the request_id of the send
 * @returns {Promise<StatusReply>}
 */
export const sendStatus = ticket => call('GET', `otp/status?request_id=${encodeURIComponent(ticket)}`)

/**
 * Spends a refresh token. After a lost reply the same token can be spent again, until its successor is used.
 *
 * @param {string} refreshToken
 * @returns {Promise<TokenReply>}
 */
export const refreshTokens = refreshToken => call('POST', 'token/refresh', { body: { refresh_token: refreshToken } })

/**
 * Ends the session of an access token that is not needed any more. It is tried again while the service does not answer.
 *
 * @param {string} token
 */
export async function endSession(token) {
  for (let seconds = 1; seconds < 600; seconds *= 2) {
    try {
      return await call('POST', 'logout', { token, keepalive: true })
    } catch (caught) {
      if (['invalid_token', 'banned'].includes(Problem.from(caught).code)) return
    }
    await new Promise(wake => setTimeout(wake, seconds * 1000))
  }
}

/** @returns {Promise<{ messages: DevMessage[] }>} */
export const devMessages = () => call('GET', 'dev/messages')
