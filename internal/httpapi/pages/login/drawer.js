// The drawer "Your phone" of development: the messages that the console has shown.

import { call } from './api.js'
import { date, plain } from './language.js'

const $ = id => document.getElementById(id)
const element = (name, properties) => Object.assign(document.createElement(name), properties)

export class Drawer {
  #messages = []
  #timer

  // isWaiting tells whether the person waits for a code, written writes a number, take gets the code that is chosen.
  constructor({ isWaiting, written, take }) {
    Object.assign(this, { isWaiting, written, take })
    $('drawer').hidden = false
    if (matchMedia('(width <= 52rem)').matches) $('drawer-switch').setAttribute('aria-expanded', 'false')
    $('drawer-switch').addEventListener('click', () => {
      const open = $('drawer-switch').getAttribute('aria-expanded') !== 'true'
      $('drawer-switch').setAttribute('aria-expanded', String(open))
      this.watch()
    })
    document.addEventListener('visibilitychange', () => document.hidden || this.watch())
  }

  // watch asks for messages each second, while there is something to wait for and somebody to see it.
  async watch() {
    clearTimeout(this.#timer)
    if (!document.hidden) {
      try {
        const { messages } = await call('GET', 'dev/messages')
        if (JSON.stringify(messages) !== JSON.stringify(this.#messages)) {
          this.#messages = messages
          this.render()
        }
      } catch { /* the next time, perhaps */ }
    }
    clearTimeout(this.#timer)
    if (this.isWaiting()) this.#timer = setTimeout(() => this.watch(), 1000)
  }

  render() {
    $('drawer-hint').hidden = this.#messages.length > 0
    $('messages').replaceChildren(...this.#messages.map(message => this.#item(message)))
    $('drawer-count').textContent = this.#messages.length ? plain.format(this.#messages.length) : ''
  }

  #item({ to, sent_at, locale, code, text }) {
    const head = element('span', { className: 'head' })
    head.append(
      element('bdi', { textContent: this.written(to), dir: 'ltr' }),
      element('time', { textContent: date(sent_at, { timeStyle: 'medium' }), dateTime: sent_at }),
    )
    const body = element('span', { className: 'text', dir: 'auto', lang: locale })
    const [first, ...others] = text.split(code)
    body.append(first, element('b', { textContent: code }), others.join(code))
    const button = element('button', { type: 'button', disabled: !this.isWaiting() })
    button.append(head, body)
    button.addEventListener('click', () => this.take(code))
    const item = document.createElement('li')
    item.append(button)
    return item
  }
}
