// @ts-check
// A question in place of the buttons that it is about.

import { $ } from './dom.js'

export class Confirmation {
  #opener
  #question

  /**
   * The question has the id of its opener and -ask; its answers are -yes and the button of the class no.
   *
   * @param {string} id of the button that opens the question
   * @param {(yes: HTMLElement) => void} confirmed is called with the button for yes
   */
  constructor(id, confirmed) {
    this.#opener = $(id)
    this.#question = $(`${id}-ask`)
    const yes = $(`${id}-yes`)
    this.#opener.addEventListener('click', () => this.#ask())
    yes.addEventListener('click', () => confirmed(yes))
    this.#question.querySelector('.no')?.addEventListener('click', () => this.#refuse())
    this.#question.addEventListener('keydown', ({ key }) => key === 'Escape' && this.#refuse())
  }

  /** Shows the buttons again. */
  close() {
    this.#question.hidden = true
  }

  #ask() {
    this.#question.hidden = false // CSS hides the buttons meanwhile
    this.#question.focus()
  }

  #refuse() {
    this.close()
    this.#opener.focus()
  }
}
