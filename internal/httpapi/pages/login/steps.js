// @ts-check
// The steps phone, code and account: which one is shown, its title, and the browser's history of them.

import { $ } from './dom.js'

/** @import { Page, Step, StepName } from './_types.js' */

export class Steps {
  #page
  /** @type {Map<string, Step>} */
  #steps = new Map()
  /** The purpose for which the step is shown. */
  #purpose

  /** @param {Page} page */
  constructor(page) {
    this.#page = page
    this.#purpose = page.state.purpose
    addEventListener('popstate', ({ state }) => {
      const { account, isChallengeUnexpired, isLogin } = page.state
      const isPhone = state?.step === 'phone' && !isLogin
      if (state?.step === 'code' && isChallengeUnexpired && (!account || !isLogin)) this.open('code')
      else if (account && !isPhone) this.replace('account')
      else if (account) this.open('phone')
      else this.replace('phone')
    })
  }

  /**
   * @param {StepName} name
   * @param {Step} step
   */
  add(name, step) {
    this.#steps.set(name, step)
  }

  /** The name of the step that is shown; undefined before the first one. */
  get current() {
    return document.body.dataset.step
  }

  /**
   * Shows a step as it is now. Unless it is shown already, it gets the focus.
   *
   * @param {StepName} name
   * @param {{ focus?: boolean }} [options]
   */
  open(name, { focus = true } = {}) {
    const isFresh = this.current !== name || this.#purpose !== this.#page.state.purpose
    document.body.dataset.step = name
    for (const [other, step] of this.#steps) step.section.hidden = other !== name
    if (isFresh) {
      this.#page.task.leave()
      this.#page.notice.clear()
    }
    for (const [other, step] of this.#steps) {
      if (other === name) step.enter?.(isFresh)
      else step.leave?.()
    }
    this.#purpose = this.#page.state.purpose
    this.render()
    this.#page.drawer?.watch()
    if (focus && isFresh) this.#steps.get(name)?.focus.focus()
  }

  /**
   * Shows a step that the back button leaves again.
   *
   * @param {StepName} name
   */
  push(name) {
    history.pushState({ step: name }, '')
    this.open(name)
  }

  /**
   * Shows a step in place of the current one.
   *
   * @param {StepName} name
   * @param {{ focus?: boolean }} [options]
   */
  replace(name, options) {
    history.replaceState({ step: name }, '')
    this.open(name, options)
  }

  /** Returns to the step before. */
  back() {
    if (history.state?.step === this.current) history.back()
    else this.open(this.#page.state.account ? 'account' : 'phone')
  }

  /** Writes what depends on the language. */
  render() {
    const step = this.#steps.get(this.current ?? '')
    if (!step) return
    const app = this.#page.settings.app_name
    const title = step.title()
    $('title').textContent = title
    document.title = app && !title.includes(app) ? `${title} · ${app}` : title
    $('lead').textContent = step.lead()
    step.render()
    this.#page.drawer?.render()
    this.#page.notice.tick()
  }
}
