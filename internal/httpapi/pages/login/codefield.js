// @ts-check
// The field of the code: one input, whose digits are drawn in the boxes below it.

import { $, make } from './dom.js'
import { codeIn, digitsOf } from './phones.js'

export class CodeField {
  input = $('code', HTMLInputElement)
  #boxes = $('boxes')
  #complete

  /**
   * @param {object} handlers
   * @param {() => void} handlers.edited is called before the person's change is taken up
   * @param {() => void} handlers.complete is called when the last digit is there
   */
  constructor({ edited, complete }) {
    this.#complete = complete
    this.input.addEventListener('input', () => {
      edited()
      this.#read()
    })
    this.input.addEventListener('paste', event => {
      // A field of one line would join the lines of a message, and with them the numbers in it.
      if (this.take(event.clipboardData?.getData('text') ?? '')) event.preventDefault()
    })
    const draw = () => this.#draw()
    this.input.addEventListener('focus', draw)
    this.input.addEventListener('blur', draw)
    document.addEventListener('selectionchange', draw)
  }

  get value() {
    return this.input.value
  }

  get #cells() {
    return [...this.#boxes.querySelectorAll('span')]
  }

  get length() {
    return this.#cells.length
  }

  /** Reports whether all digits are there. */
  get isComplete() {
    return this.value.length === this.length
  }

  /**
   * Makes room for a code of this length.
   *
   * @param {number} length
   */
  resize(length) {
    if (this.length === length) return
    for (const cell of this.#cells) cell.remove()
    for (let i = 0; i < length; i++) {
      const cell = make('span')
      cell.setAttribute('aria-hidden', 'true')
      this.#boxes.append(cell)
    }
  }

  /**
   * Writes a code, or the beginning of one.
   *
   * @param {string} code
   */
  set(code) {
    if (this.value !== code) this.input.value = code // or the caret would move
    this.#draw()
    if (this.isComplete) this.#complete()
  }

  /**
   * Writes the code that a message holds, and reports whether it holds one.
   *
   * @param {string} message
   */
  take(message) {
    const code = codeIn(message, this.length)
    if (code) this.set(code)
    return code !== ''
  }

  shake() {
    this.#boxes.classList.remove('shake')
    requestAnimationFrame(() => this.#boxes.classList.add('shake'))
  }

  #read() {
    const text = this.value
    const caret = digitsOf(text.slice(0, this.input.selectionStart ?? 0)).length
    this.set(codeIn(text, this.length) || digitsOf(text).slice(0, this.length))
    this.input.setSelectionRange(caret, caret)
    this.#draw()
  }

  #draw() {
    const at = Math.min(this.input.selectionStart ?? 0, this.length - 1)
    const hasFocus = document.activeElement === this.input
    for (const [i, cell] of this.#cells.entries()) {
      cell.textContent = this.value[i] ?? ''
      cell.classList.toggle('here', hasFocus && i === at)
    }
  }
}
