// @ts-check
// The second step: the code arrives, or is typed, and is sent back.

import { call, Problem, sendStatus, verifyCode } from './api.js'
import { requestMessage } from './challenge.js'
import { CodeField } from './codefield.js'
import { Delivery } from './delivery.js'
import { $ } from './dom.js'
import { ltr } from './language.js'
import { now } from './state.js'

/** @import { LoginReply, Page, Step } from './_types.js' */

/** @implements {Step} */
export class CodeStep {
  section = $('code-form', HTMLFormElement)
  focus
  #page
  #verified
  #field
  #delivery
  #resend = $('resend', HTMLButtonElement)

  /**
   * @param {Page} page
   * @param {(login: LoginReply) => void} verified is called when the code was right
   */
  constructor(page, verified) {
    this.#page = page
    this.#verified = verified
    this.#field = new CodeField({ edited: () => this.#edited(), complete: () => this.#complete() })
    this.focus = this.#field.input
    this.#delivery = new Delivery(page, {
      arrived: code => this.take(code),
      dead: () => this.#over('code_dead'),
    })
    this.section.addEventListener('submit', event => {
      event.preventDefault()
      this.#submit()
    })
    this.#resend.addEventListener('click', () => this.#sendAgain())
    $('change').addEventListener('click', () => page.steps.back())
  }

  /** The challenge that this step is about. It throws if there is none, because the step is not shown then. */
  get #challenge() {
    const { challenge } = this.#page.state
    if (!challenge) throw new Error('no challenge')
    return challenge
  }

  title() {
    return this.#page.language.words.title_code
  }

  lead() {
    const { language, phones } = this.#page
    const phone = ltr(phones.written(this.#challenge.phone).replaceAll(' ', '\u00a0'))
    return language.say('lead_code', { n: language.number(this.#challenge.code_length), phone })
  }

  /** @param {boolean} isFresh */
  enter(isFresh) {
    this.#field.resize(this.#challenge.code_length)
    if (isFresh) this.#field.set('')
    if (isFresh && this.#challenge.over) this.#page.notice.show('code_dead', { isBad: true })
    this.#delivery.await()
  }

  leave() {
    this.#delivery.stop()
  }

  render() {
    const { language } = this.#page
    $('code-label').textContent = language.say('code', { n: language.number(this.#challenge.code_length) })
    this.#delivery.render()
    this.tick()
  }

  /** Moves the countdown of the next send on, and ends the challenge in time. */
  tick() {
    const { language, state } = this.#page
    const wait = Math.ceil(this.#challenge.resend_at - now())
    this.#resend.disabled = wait > 0
    this.#resend.textContent = wait > 0
      ? language.say('resend_in', { time: language.time(wait) })
      : language.words.resend
    if (!state.isChallengeUnexpired) this.#over('code_expired')
  }

  /**
   * Writes a code that has arrived into the field, if it has the right length.
   *
   * @param {string} code
   */
  take(code) {
    this.#field.take(code)
  }

  /**
   * Shows that the code no longer works, because it has expired or is burnt. Only the first call has an effect: later,
   * the field has digits that the person typed after the notice.
   *
   * @param {string} word
   */
  #over(word) {
    if (this.#challenge.over) return
    this.#end()
    this.#page.notice.show(word, { isBad: true })
  }

  #end() {
    this.#page.state.challenge = { ...this.#challenge, over: true }
    this.#field.set('')
    this.#delivery.render()
  }

  #edited() {
    if (this.focus.hasAttribute('aria-invalid')) this.#page.notice.clear()
  }

  #complete() {
    this.#page.notice.clear()
    this.section.requestSubmit()
  }

  async #submit() {
    const { notice, task } = this.#page
    const code = this.#field.value
    if (!this.#field.isComplete) return notice.fault(new Problem('invalid_code_format'), this.focus)
    await task.run($('verify'), isAwaited => this.#verify(code, isAwaited))
    this.#sendTyped(code)
  }

  /**
   * @param {string} code
   * @param {() => boolean} isAwaited
   */
  async #verify(code, isAwaited) {
    const { notice } = this.#page
    notice.clear()
    try {
      const login = await verifyCode(this.#challenge.phone, code)
      if (isAwaited()) this.#verified(login)
      else if (login.access_token) call('POST', 'logout', { token: login.access_token }).catch(() => {})
    } catch (caught) {
      if (!isAwaited()) return
      const problem = Problem.from(caught)
      if (problem.code === 'invalid_code') return void this.#wrong(problem, code)
      if (problem.code === 'banned') this.#end() // the code was right, and is used up
      notice.fault(problem, this.focus)
    }
  }

  /**
   * Sends the code that was typed, or has arrived, while something else was asked for.
   *
   * @param {string} before what the field held then
   */
  #sendTyped(before) {
    const { steps, task } = this.#page
    if (steps.current !== 'code' || task.isRunning) return
    if (this.#field.value !== before) this.#field.set(this.#field.value)
  }

  /**
   * Shows that a code was wrong, and asks whether that was the last attempt.
   *
   * @param {Problem} problem
   * @param {string} code
   */
  async #wrong(problem, code) {
    const { notice, state, steps, task } = this.#page
    const { request_id, over } = this.#challenge
    if (this.#field.value === code) this.#field.set('')
    notice.fault(over ? new Problem('code_dead') : problem, this.focus)
    this.#field.shake()
    if (!request_id || over) return
    try {
      await sendStatus(request_id)
    } catch (caught) {
      const isDead = Problem.from(caught).code === 'not_found'
      const isShown = steps.current === 'code' && state.challenge?.request_id === request_id
      if (isDead && isShown && !task.isRunning) this.#over('code_dead')
    }
  }

  async #sendAgain() {
    await this.#page.task.run(this.#resend, isAwaited => this.#send(isAwaited))
    this.#sendTyped('')
  }

  /** @param {() => boolean} isAwaited */
  async #send(isAwaited) {
    const { language, notice, state, steps } = this.#page
    const { asked, over } = this.#challenge
    notice.clear()
    this.#field.set('')
    try {
      const challenge = await requestMessage(asked, language.tag)
      if (state.challenge?.asked === asked) state.challenge = challenge
      if (!isAwaited()) return
      steps.open('code')
      notice.show(over ? 'resent_new' : 'resent')
    } catch (caught) {
      if (!isAwaited()) return
      const problem = Problem.from(caught)
      if (problem.retryAfter) {
        const until = now() + problem.retryAfter
        state.challenge = { ...this.#challenge, resend_at: until, refused_until: until }
        this.tick()
      }
      notice.fault(problem)
    }
    this.focus.focus()
  }
}
