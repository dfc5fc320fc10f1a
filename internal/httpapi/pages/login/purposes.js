// @ts-check
// What a code is for: a login, a change of the number, or the removal of the account. The steps of the phone and of the
// code ask the purpose of the moment for their words and make its calls.

import { call, endSession, Problem, requestCode, verifyCode } from './api.js'
import { deviceToken, keepDeviceToken } from './knowndevice.js'

/** @import { AccountStep } from './accountstep.js' */
/** @import { AskedPhone, Challenge, Channel, LoginReply, PhoneChangeReply, Purpose, User } from './_types.js' */
/** @import { Tokens } from './tokens.js' */

/**
 * Asks for the code of a login, as the device that this browser is for the phone.
 *
 * @param {AskedPhone} asked
 * @param {string} locale
 * @param {Channel} [channel]
 */
const requestLogin = (asked, locale, channel) =>
  requestCode(asked, { locale, channel, device_token: deviceToken(asked.phone) })

/**
 * Logs in with the code of a challenge, and keeps the device token of the login.
 *
 * @param {Challenge} challenge
 * @param {string} code
 */
async function logIn({ asked, request_id }, code) {
  const login = await verifyCode(asked, code, { request_id, device_token: deviceToken(asked.phone) })
  keepDeviceToken(login.user.phone, login.device_token)
  return login
}

/** @implements {Purpose} */
export class Login {
  wordOf = { title: 'title', hint: 'hint', lead: 'lead_code', live: 'lead_live', verify: 'verify', back: 'change' }
  isFinal = false
  request = requestLogin
  #verified

  /** @param {(login: LoginReply) => void} verified */
  constructor(verified) {
    this.#verified = verified
  }

  /**
   * @param {Challenge} challenge
   * @param {string} code
   * @param {() => boolean} isAwaited
   */
  async redeem(challenge, code, isAwaited) {
    const login = await logIn(challenge, code)
    if (isAwaited()) this.#verified(login)
    else if (login.access_token) endSession(login.access_token)
  }

  end() {}
}

/** @implements {Purpose} */
export class PhoneChange {
  wordOf = {
    title: 'change',
    hint: 'change_hint',
    lead: 'lead_code',
    live: 'lead_live',
    verify: 'change',
    back: 'back',
  }
  isFinal = false
  #account
  #tokens

  /**
   * @param {AccountStep} account
   * @param {Tokens} tokens
   */
  constructor(account, tokens) {
    this.#account = account
    this.#tokens = tokens
  }

  /**
   * @param {AskedPhone} phone
   * @param {string} locale
   * @param {Channel} [channel]
   */
  request(phone, locale, channel) {
    return this.#account.guard(() => this.#tokens.call('POST', 'me/phone/request', { ...phone, locale, channel }))
  }

  /**
   * @param {Challenge} challenge
   * @param {string} code
   */
  async redeem({ asked, phone, request_id }, code) {
    this.#account.phoneChanged(await this.#account.guard(async () => {
      try {
        /** @type {PhoneChangeReply} */
        const reply = await this.#tokens.call('POST', 'me/phone/verify', { ...asked, code, request_id })
        const { device_token, ...user } = reply
        keepDeviceToken(user.phone, device_token)
        return user
      } catch (caught) {
        if (Problem.from(caught).code !== 'invalid_code') throw caught
        // The code may be spent, because the reply to an earlier call was lost.
        const user = await this.#tokens.call('GET', 'me')
        if (user.phone !== phone) throw caught
        return user
      }
    }))
  }

  end() {}
}

/**
 * Removal proves by a login that the person has the phone, and removes the account with the tokens of that login. Its
 * session ends with the account, or when the person gives up.
 *
 * @implements {Purpose}
 */
export class Removal {
  wordOf = {
    title: 'remove',
    hint: '',
    lead: 'remove_lead',
    live: 'remove_lead',
    verify: 'remove',
    back: 'cancel',
  }
  isFinal = true
  #account
  #tokens
  /** The access token of the login. */
  #proof = ''
  #isAsked = false // whether the service was asked to remove the account

  /**
   * @param {AccountStep} account
   * @param {Tokens} tokens
   */
  constructor(account, tokens) {
    this.#account = account
    this.#tokens = tokens
  }

  /**
   * @param {AskedPhone} phone
   * @param {string} locale
   * @param {Channel} [channel]
   */
  request(phone, locale, channel) {
    this.end()
    return requestLogin(phone, locale, channel)
  }

  /**
   * @param {Challenge} challenge
   * @param {string} code
   * @param {() => boolean} isAwaited
   */
  redeem(challenge, code, isAwaited) {
    return this.#account.guard(async () => {
      try {
        await this.#redeem(challenge, code, isAwaited)
      } catch (caught) {
        const isGone = ['invalid_token', 'invalid_refresh_token'].includes(Problem.from(caught).code)
        if (!this.#isAsked || !isGone) throw caught
        this.#account.removed() // by a call whose reply was lost
      }
    })
  }

  /**
   * @param {Challenge} challenge
   * @param {string} code
   * @param {() => boolean} isAwaited
   */
  async #redeem(challenge, code, isAwaited) {
    // Without the account, or with another phone of it, the code would sign a new person up.
    /** @type {User} */
    const user = await this.#tokens.call('GET', 'me')
    if (user.phone !== challenge.phone) return this.#account.phoneChanged(user)
    if (!this.#proof) await this.#prove(user, challenge, code)
    if (!isAwaited()) return this.end()
    await this.#remove()
  }

  /** Ends the session of the login, if the account is still there. */
  end() {
    if (this.#proof) endSession(this.#proof)
    this.#proof = ''
  }

  /**
   * @param {User} user
   * @param {Challenge} challenge
   * @param {string} code
   */
  async #prove({ id }, challenge, code) {
    const login = await logIn(challenge, code)
    this.#proof = login.access_token
    if (login.user.id === id) return
    this.end() // the account was removed a moment ago
    throw new Problem('invalid_token')
  }

  async #remove() {
    this.#isAsked = true
    try {
      await call('DELETE', 'me', { token: this.#proof })
    } catch (caught) {
      if (Problem.from(caught).code !== 'invalid_token') throw caught
      this.#proof = '' // its session is over; the next call throws if the account is gone too
      await this.#tokens.call('GET', 'me')
      throw new Problem('code_expired')
    }
    this.#proof = ''
    this.#account.removed()
  }
}
