// @ts-check
// The one message of a step: what has happened, or why something failed. While there is one, the page hides the line
// of the step in whose place it stands.

import { Problem } from './api.js'
import { $, make } from './dom.js'
import { now } from './state.js'

/** @import { Language } from './language.js' */

const problemsOfFields = [
  'phone_missing',
  'invalid_phone',
  'destination_not_allowed',
  'invalid_code',
  'invalid_code_format',
  'code_dead',
]

export class Notice {
  #element = $('message')
  #language
  #isBad = false
  #until = 0
  /** @type {(() => HTMLElement) | undefined} */
  #way

  /** The word that is shown, or ''. */
  word = ''

  /** @param {Language} language */
  constructor(language) {
    this.#language = language
  }

  /**
   * Shows a word. With until, a countdown to that time follows it; with way, a button that it makes in the language of
   * the moment.
   *
   * @param {string} word
   * @param {{ isBad?: boolean, until?: number, way?: () => HTMLElement }} [options]
   */
  show(word, { isBad = false, until = 0, way } = {}) {
    this.word = word
    this.#isBad = isBad
    this.#until = until
    this.#way = way
    this.render()
  }

  clear() {
    this.show('')
    for (const field of document.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid')
  }

  /**
   * Shows why a call failed, and marks the field if the field has to change.
   *
   * @param {unknown} caught
   * @param {HTMLElement} [field]
   * @param {() => HTMLElement} [way] makes the button behind the text that leads out of it
   */
  fault(caught, field, way) {
    const { code, retryAfter } = Problem.from(caught)
    const known = Object.hasOwn(this.#language.problems, code) ? code : 'internal_error'
    const word = way ? 'other_country' : known
    this.show(word, { isBad: true, until: retryAfter ? now() + retryAfter : 0, way })
    if (!field || !problemsOfFields.includes(known)) return
    field.setAttribute('aria-invalid', 'true')
    field.focus()
  }

  render() {
    const { words, problems } = this.#language
    this.#element.setAttribute('role', this.#isBad ? 'alert' : 'status')
    this.#element.classList.toggle('bad', this.#isBad)
    this.#element.textContent = this.word ? problems[this.word] ?? words[this.word] : ''
    if (this.#way) this.#element.append(' ', this.#way())
    if (!this.#until) return
    // A screen reader hears the time to wait once, not every second.
    const left = make('span', { id: 'left' })
    left.setAttribute('aria-hidden', 'true')
    const wait = make('span', { className: 'unseen', textContent: this.#retryIn(this.#until - now()) })
    this.#element.append(' ', left, wait)
    this.tick()
  }

  /** Moves the countdown on. */
  tick() {
    const left = document.getElementById('left')
    if (!left) return
    const seconds = this.#until - now()
    if (seconds <= 0) return this.show('retry_now')
    const text = this.#retryIn(seconds)
    if (left.textContent !== text) left.textContent = text
  }

  /** @param {number} seconds */
  #retryIn(seconds) {
    return this.#language.say('retry_in', { time: this.#language.wait(seconds) })
  }
}
