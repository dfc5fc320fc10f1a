// @ts-check
// The second step: the code arrives, or is typed, and is sent back.

import { Problem, sendStatus } from './api.js'
import { afterRefusal, asRefusal, isSame, isThrottled, requestMessage, wordOfRefusal } from './challenge.js'
import { CodeField } from './codefield.js'
import { Delivery } from './delivery.js'
import { $, make } from './dom.js'
import { now } from './state.js'

/** @import { Channel, Page, Step } from './_types.js' */

/** @implements {Step} */
export class CodeStep {
  section = $('code-form', HTMLFormElement)
  #page
  #field
  #delivery
  #resend = $('resend', HTMLButtonElement)
  /** @type {NodeListOf<HTMLButtonElement>} */
  #others = this.section.querySelectorAll('[data-channel]')

  /** @param {Page} page */
  constructor(page) {
    this.#page = page
    this.#field = new CodeField({ edited: () => this.#edited(), complete: () => this.#complete() })
    this.#delivery = new Delivery(page, {
      arrived: code => this.take(code),
      dead: () => this.#over('code_dead'),
    })
    this.section.addEventListener('submit', event => {
      event.preventDefault()
      this.#submit()
    })
    this.#resend.addEventListener('click', () => this.#sendAgain(this.#resend))
    for (const other of this.#others) other.addEventListener('click', () => this.#sendAgain(other))
    $('change').addEventListener('click', () => page.steps.back())
  }

  /** The challenge that this step is about. It throws if there is none, because the step is not shown then. */
  get #challenge() {
    const { challenge } = this.#page.state
    if (!challenge) throw new Error('no challenge')
    return challenge
  }

  /** What the person does next: type the code, or ask for another one as soon as that is possible. */
  get focus() {
    if (!this.#challenge.over) return this.#field.input
    return this.#resend.disabled ? $('title') : this.#resend
  }

  title() {
    const { words } = this.#page.language
    return this.#challenge.over ? words.title_renew : words.title_code
  }

  lead() {
    const { language, state: { purpose } } = this.#page
    const { code_length, over, request_id } = this.#challenge
    const { lead, live } = purpose.wordOf
    return over ? '' : language.say(request_id ? lead : live, { n: language.number(code_length) })
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
    const { language, phones, state: { purpose } } = this.#page
    $('verify-text').textContent = language.words[purpose.wordOf.verify]
    $('verify').classList.toggle('danger', purpose.isFinal)
    $('change').textContent = language.words[purpose.wordOf.back]
    $('code-phone').textContent = phones.written(this.#challenge.phone)
    $('code-label').textContent = language.say('code', { n: language.number(this.#challenge.code_length) })
    this.tick()
  }

  /** Moves the wait for the next send on, and ends the challenge in time. */
  tick() {
    const { state, task } = this.#page
    this.#delivery.render()
    this.#renderSends()
    if (!state.isChallengeUnexpired && !task.isRunning) this.#over('code_expired')
  }

  /** Shows what can be sent now. Once the code is dead, a new one is all that helps. */
  #renderSends() {
    const { language } = this.#page
    const { channels = [], over = false, resend_at } = this.#challenge
    const wait = resend_at - now()
    const [word, wordOfWait] = over ? ['renew', 'renew_in'] : ['resend', 'resend_in']
    const text = wait > 0 ? language.say(wordOfWait, { time: language.wait(wait) }) : language.words[word]
    if (this.#resend.textContent !== text) this.#resend.replaceChildren(make('span', { textContent: text }))
    this.#resend.disabled = wait > 0
    this.#resend.classList.toggle('main', over)
    for (const id of ['boxes', 'verify']) $(id).hidden = over
    for (const other of this.#others) other.hidden = wait > 0 || !channels.some(channel => channel === channelOf(other))
  }

  /**
   * Writes a code that has arrived into the field, if it has the right length.
   *
   * @param {string} code
   */
  take(code) {
    if (!this.#challenge.over) this.#field.take(code)
  }

  /**
   * Shows that the code no longer works, because it has expired or is burnt.
   *
   * @param {string} word
   */
  #over(word) {
    if (this.#challenge.over) return
    const { notice, state, steps } = this.#page
    const isAtWork = ['code', 'verify'].includes(document.activeElement?.id ?? '') // at what is hidden now
    const { refused_until = 0, resend_at } = this.#challenge
    state.challenge = {
      ...this.#challenge,
      over: true,
      resend_at: word === 'code_dead' ? refused_until : resend_at, // the pause between messages is that of one code
    }
    notice.clear()
    this.#field.set('')
    steps.render()
    if (isAtWork) this.focus.focus()
    notice.show(word, { isBad: true })
  }

  #edited() {
    if (this.#page.notice.word) this.#page.notice.clear()
  }

  #complete() {
    const { notice, state: { purpose } } = this.#page
    notice.clear()
    if (!purpose.isFinal) this.section.requestSubmit()
  }

  async #submit() {
    const { notice, task } = this.#page
    const code = this.#field.value
    if (!this.#field.isComplete) return notice.fault(new Problem('invalid_code_format'), this.#field.input)
    await task.run($('verify'), isAwaited => this.#verify(code, isAwaited))
    this.#sendTyped(code)
  }

  /**
   * @param {string} code
   * @param {() => boolean} isAwaited
   */
  async #verify(code, isAwaited) {
    const { notice, state: { purpose } } = this.#page
    notice.clear()
    try {
      await purpose.redeem(this.#challenge, code, isAwaited)
    } catch (caught) {
      if (!isAwaited()) return
      const problem = Problem.from(caught)
      if (problem.code === 'invalid_code') return void this.#wrong(problem, code)
      // The code has the digits that the service asked for, so the service no longer has a code with so many.
      if (problem.code === 'invalid_code_format') return this.#over('code_dead')
      if (problem.code === 'banned') this.#giveUp()
      const shown = isThrottled(problem) ? new Problem('too_many_tries', problem.retryAfter) : problem
      notice.fault(shown, this.#field.input)
    }
  }

  /** Gives up the challenge, whose code was right and is used up, although nobody is logged in. */
  #giveUp() {
    const { state, steps } = this.#page
    state.challenge = null
    steps.replace('phone')
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
    if (over) return notice.show('code_dead', { isBad: true })
    if (this.#field.value === code) this.#field.set('')
    notice.fault(problem, this.#field.input)
    this.#field.shake()
    if (!request_id) return this.#endPause()
    try {
      await sendStatus(request_id)
    } catch (caught) {
      const isDead = Problem.from(caught).code === 'not_found'
      const isShown = steps.current === 'code' && state.challenge?.request_id === request_id
      if (isDead && isShown && !task.isRunning) this.#over('code_dead')
    }
  }

  /**
   * Offers another message after a wrong code without a request_id, whose status nobody can ask for. The code may be
   * burnt or replaced by now, and then there is no pause; otherwise the service answers how long it lasts.
   */
  #endPause() {
    const { state } = this.#page
    state.challenge = { ...this.#challenge, resend_at: this.#challenge.refused_until ?? 0 }
    this.#renderSends()
  }

  /**
   * Sends the code once more, or a new one, by the channel of a button.
   *
   * @param {HTMLButtonElement} button
   */
  async #sendAgain(button) {
    await this.#page.task.run(button, isAwaited => this.#send(channelOf(button), isAwaited))
    this.#sendTyped('')
  }

  /**
   * @param {Channel | undefined} channel
   * @param {() => boolean} isAwaited
   */
  async #send(channel, isAwaited) {
    const { language, notice, state, steps } = this.#page
    const { asked, over } = this.#challenge
    notice.clear()
    this.#field.set('')
    try {
      const challenge = await requestMessage(state.purpose, asked, language.tag, channel)
      const isStillAsked = state.challenge !== null && isSame(state.challenge.asked, asked)
      if (isStillAsked) state.challenge = { ...challenge, again: over ? 'resent_new' : 'resent' }
      if (!isAwaited()) return
      steps.open('code')
    } catch (caught) {
      if (isAwaited()) this.#refused(Problem.from(caught), channel)
    }
    if (isAwaited()) this.focus.focus()
  }

  /**
   * Shows why a message was not sent, and offers it no more before it can be sent. The code of an earlier message may
   * still work: then it can be typed.
   *
   * @param {Problem} problem
   * @param {Channel | undefined} channel
   */
  #refused(problem, channel) {
    const { notice, state, steps } = this.#page
    const usable = afterRefusal(problem, this.#challenge)
    if (usable) {
      state.challenge = usable
      steps.open('code')
      return notice.show(wordOfRefusal(problem))
    }
    const challenge = { ...this.#challenge }
    if (problem.retryAfter) challenge.resend_at = challenge.refused_until = now() + problem.retryAfter
    if (problem.code === 'invalid_field') challenge.channels = challenge.channels?.filter(other => other !== channel)
    if (isThrottled(problem)) challenge.over = true // or the service would have said that the code is live
    state.challenge = challenge
    steps.render()
    notice.fault(asRefusal(problem))
  }
}

/**
 * Returns the channel that a button stands for; undefined for the usual one.
 *
 * @param {HTMLButtonElement} button
 */
const channelOf = button => /** @type {Channel | undefined} */ (button.dataset.channel)
