// @ts-check
// The drawer "Your phone": in development it shows the messages that go to no phone.

import { devMessages } from './api.js'
import { $, make } from './dom.js'

/** @import { DevMessage, Page } from './_types.js' */

export class Drawer {
  /** @type {DevMessage[]} */
  #messages = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #page
  #take

  /**
   * @param {Page} page
   * @param {(code: string) => void} take is called with the code of a message that the person chooses
   */
  constructor(page, take) {
    this.#page = page
    this.#take = take
    $('drawer').hidden = false
    document.addEventListener('visibilitychange', () => document.hidden || this.watch())
  }

  get #isCodeAwaited() {
    const { state, steps } = this.#page
    return steps.current === 'code' && !state.challenge?.over
  }

  /**
   * Asks for messages: once, so that the drawer is full at every step, and each second while a code is awaited. It does
   * not ask while the tab is hidden.
   */
  async watch() {
    clearTimeout(this.#timer)
    if (!document.hidden) await this.#ask()
    clearTimeout(this.#timer)
    if (this.#isCodeAwaited) this.#timer = setTimeout(() => this.watch(), 1000)
  }

  render() {
    $('drawer-hint').hidden = this.#messages.length > 0
    $('messages').replaceChildren(...this.#messages.map(message => this.#item(message)))
    $('drawer-count').textContent = this.#messages.length ? this.#page.language.number(this.#messages.length) : ''
  }

  async #ask() {
    try {
      const { messages } = await devMessages()
      if (JSON.stringify(messages) === JSON.stringify(this.#messages)) return
      this.#messages = messages
      this.render()
    } catch { /* The next call may succeed. */ }
  }

  /** @param {DevMessage} message */
  #item({ to, sent_at, locale, code, text }) {
    const { language, phones } = this.#page
    const head = make('span', { className: 'head' })
    head.append(
      make('bdi', { textContent: phones.written(to), dir: 'ltr' }),
      make('time', { textContent: language.date(sent_at, { timeStyle: 'medium' }), dateTime: sent_at }),
    )
    const body = make('span', { className: 'text', dir: 'auto', lang: locale })
    const [first, ...others] = text.split(code)
    body.append(first, make('b', { textContent: code }), others.join(code))
    const button = make('button', { type: 'button', disabled: !this.#isCodeAwaited })
    button.append(head, body)
    button.addEventListener('click', () => this.#take(code))
    const item = make('li')
    item.append(button)
    return item
  }
}
