// @ts-check
// The last step: the person who is logged in, and the devices of all sessions.

import { clock, Problem } from './api.js'
import { askForCode } from './challenge.js'
import { Confirmation } from './confirmation.js'
import { deviceOf } from './device.js'
import { $, make } from './dom.js'
import { forgetDeviceToken } from './knowndevice.js'
import { ltr } from './language.js'
import { PhoneChange, Removal } from './purposes.js'

/** @import { Account, LoginReply, Page, Session, Step, User } from './_types.js' */

/** @implements {Step} */
export class AccountStep {
  section = $('account')
  focus = $('title')
  #page
  #questions

  /** @param {Page} page */
  constructor(page) {
    this.#page = page
    // An earlier page of this tab comes back as it was with the back button, although the person has logged out since.
    addEventListener('pageshow', () => this.noticeLogout())
    addEventListener('pagehide', () => page.state.purpose.end())
    $('logout').addEventListener('click', () => this.#logOut($('logout'), 'logout'))
    $('renumber').addEventListener('click', () => this.#changePhone())
    this.#questions = [
      new Confirmation('logout-all', yes => this.#logOut(yes, 'logout?everywhere=true')),
      new Confirmation('remove', yes => this.#remove(yes)),
    ]
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

  /** @param {boolean} isFresh */
  enter(isFresh) {
    if (isFresh) for (const question of this.#questions) question.close()
    this.#page.state.end()
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
    const problem = Problem.from(caught)
    if (this.#isOver(problem)) this.#loggedOut()
    this.#page.notice.fault(problem)
  }

  /** @param {Problem} problem */
  #isOver({ code }) {
    return !this.#page.tokens.isLoggedIn || code === 'invalid_token' || code === 'banned'
  }

  /**
   * Makes calls in the name of the user. It throws their Problem, after it has ended the login if that is over.
   *
   * @template T
   * @param {() => Promise<T>} calls
   */
  async guard(calls) {
    try {
      return await calls()
    } catch (caught) {
      if (this.#isOver(Problem.from(caught))) this.fault(caught)
      throw caught
    }
  }

  /**
   * Takes up that the user has another phone.
   *
   * @param {User} user
   */
  phoneChanged(user) {
    this.show(user)
    this.#page.notice.show('phone_changed')
  }

  /** Takes up that the account is gone, and forgets its phone and the device token. */
  removed() {
    const { notice, state } = this.#page
    forgetDeviceToken(this.#account.phone)
    state.end()
    state.typed = { ...state.typed, digits: '' }
    this.#loggedOut()
    notice.show('removed')
  }

  /** Moves the times of the sessions on. */
  tick() {
    for (const time of document.querySelectorAll('time')) {
      const text = this.#page.language.ago(time.dateTime, clock.now())
      if (this.section.contains(time) && time.textContent !== text) time.textContent = text
    }
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
      this.#lastUse(session),
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
    const element = make('span', { textContent: language.words.session_current })
    if (current) return element
    language.write(element, 'session_used', {
      date: make('time', {
        dateTime: last_used_at,
        title: language.date(last_used_at, { dateStyle: 'medium', timeStyle: 'short' }),
        textContent: language.ago(last_used_at, clock.now()),
      }),
    })
    return element
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

  #changePhone() {
    const { state, steps, tokens } = this.#page
    state.begin(new PhoneChange(this, tokens))
    steps.push('phone')
  }

  /**
   * Asks for the code with which the person removes the account.
   *
   * @param {HTMLElement} button
   */
  #remove(button) {
    const { notice, state, task, tokens } = this.#page
    const { phone } = this.#account
    return task.run(button, async isAwaited => {
      notice.clear()
      state.begin(new Removal(this, tokens))
      try {
        await askForCode(this.#page, { phone }, phone, isAwaited)
      } catch (caught) {
        if (!isAwaited()) return
        state.end()
        this.fault(caught)
      }
    })
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
    state.end()
    state.account = undefined
    for (const id of ['account-phone', 'account-since', 'sessions']) $(id).replaceChildren()
    steps.replace('phone')
  }
}
