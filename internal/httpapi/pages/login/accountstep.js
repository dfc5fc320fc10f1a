// @ts-check
// The last step: the person who is logged in, and the devices of all sessions.

import { Problem } from './api.js'
import { deviceOf } from './device.js'
import { $, make } from './dom.js'
import { ltr } from './language.js'

/** @import { Account, LoginReply, Page, Session, Step } from './_types.js' */

/** @implements {Step} */
export class AccountStep {
  section = $('account')
  focus = $('title')
  #page

  /** @param {Page} page */
  constructor(page) {
    this.#page = page
    // An earlier page of this tab comes back as it was with the back button, although the person has logged out since.
    addEventListener('pageshow', () => this.noticeLogout())
    $('logout').addEventListener('click', () => this.#logOut($('logout'), 'logout'))
    $('logout-all').addEventListener('click', () => this.#logOut($('logout-all'), 'logout?everywhere=true'))
  }

  /** The person who is logged in. It throws if there is none, because the step is not shown then. */
  get #account() {
    const { account } = this.#page.state
    if (!account) throw new Error('no account')
    return account
  }

  title() {
    const { words } = this.#page.language
    return this.#account.isNew ? words.welcome_new : words.welcome
  }

  lead() {
    return ''
  }

  render() {
    const { language, phones } = this.#page
    const { phone, created_at, sessions = [] } = this.#account
    $('account-phone').textContent = phone ? phones.written(phone) : ''
    $('account-since').textContent = language.say('member_since', {
      date: language.date(created_at, { dateStyle: 'long' }),
    })
    $('sessions').replaceChildren(...sessions.map(session => this.#item(session)))
  }

  /**
   * Takes up a login whose code was right.
   *
   * @param {LoginReply} login
   */
  verified(login) {
    const { notice, state, steps, tokens } = this.#page
    state.challenge = null
    $('code', HTMLInputElement).value = ''
    if (!login.access_token) { // SIGNUP_LOGS_IN=false
      steps.replace('phone')
      return notice.show('registered')
    }
    tokens.keep(login)
    this.show({ ...login.user, isNew: login.new_user })
  }

  /** @param {Account} account */
  show(account) {
    const { state, steps } = this.#page
    state.account = account
    steps.replace('account')
    this.#loadSessions()
  }

  /**
   * Shows why a call in the name of the user failed, and ends the login if it is over.
   *
   * @param {unknown} caught
   */
  fault(caught) {
    const { notice, tokens } = this.#page
    const problem = Problem.from(caught)
    if (!tokens.isLoggedIn || problem.code === 'invalid_token' || problem.code === 'banned') this.#loggedOut()
    notice.fault(problem)
  }

  /** Takes notice of a logout that happened elsewhere. */
  noticeLogout() {
    const { notice, state, tokens } = this.#page
    if (!state.account || tokens.isLoggedIn) return
    this.#loggedOut()
    notice.show('logged_out')
  }

  async #loadSessions() {
    const { state, steps, tokens } = this.#page
    const account = this.#account
    try {
      account.sessions = (await tokens.call('GET', 'me/sessions')).sessions
      if (steps.current === 'account') this.render()
    } catch (caught) {
      if (state.account === account) this.fault(caught)
    }
  }

  /** @param {Session} session */
  #item(session) {
    const { words } = this.#page.language
    const device = deviceOf(session.user_agent) || words.unknown_device
    const text = make('div')
    text.append(
      make('strong', { textContent: device }),
      make('span', { textContent: this.#lastUse(session) }),
      make('span', { textContent: ltr(session.ip) }),
    )
    const item = make('li')
    item.append(text)
    item.classList.toggle('current', session.current)
    if (session.current) return item
    const end = make('button', { type: 'button', className: 'end', textContent: words.session_end })
    end.setAttribute('aria-label', `${words.session_end}: ${device}`)
    end.addEventListener('click', () => this.#page.task.run(end, () => this.#end(session)))
    item.append(end)
    return item
  }

  /** @param {Session} session */
  #lastUse({ current, last_used_at }) {
    const { language } = this.#page
    if (current) return language.words.session_current
    return language.say('session_used', {
      date: language.date(last_used_at, { dateStyle: 'medium', timeStyle: 'short' }),
    })
  }

  /** @param {Session} session */
  async #end({ id }) {
    const { notice, tokens } = this.#page
    try {
      await tokens.call('DELETE', `me/sessions/${id}`)
    } catch (caught) {
      if (Problem.from(caught).code !== 'not_found') return this.fault(caught)
    }
    notice.show('session_gone')
    this.focus.focus()
    this.#loadSessions()
  }

  /**
   * @param {HTMLElement} button
   * @param {string} path
   */
  #logOut(button, path) {
    const { notice, task, tokens } = this.#page
    return task.run(button, async () => {
      try {
        await tokens.call('POST', path)
      } catch (caught) {
        return this.fault(caught)
      }
      this.#loggedOut()
      notice.show('logged_out')
    })
  }

  #loggedOut() {
    const { state, steps, tokens } = this.#page
    tokens.forget()
    state.account = undefined
    for (const id of ['account-phone', 'account-since', 'sessions']) $(id).replaceChildren()
    steps.replace('phone')
  }
}
