// @ts-check
// The first step: a phone is typed and sent.

import { Problem } from './api.js'
import { askForCode, isSame } from './challenge.js'
import { $, make } from './dom.js'
import { ltr } from './language.js'
import { renderLegal } from './legal.js'
import { digitsOf, hasPlus } from './phones.js'
import { flagOf, likelyRegions } from './regions.js'
import { now } from './state.js'

/** @import { AskedPhone, Page, Step } from './_types.js' */

/** @implements {Step} */
export class PhoneStep {
  section = $('phone-form')
  focus = $('phone', HTMLInputElement)
  #page
  #region = $('region', HTMLSelectElement)
  #isPicked = false // whether the person has chosen the region; then the digits do not change it
  #purpose

  /** @param {Page} page */
  constructor(page) {
    this.#page = page
    this.#purpose = page.state.purpose
    this.focus.addEventListener('input', event => {
      const { isComposing, inputType } = /** @type {InputEvent} */ (event)
      if (!isComposing) this.#read(inputType) // an input method loses its place in a field that others write to
    })
    this.focus.addEventListener('compositionend', () => this.#read('insertText'))
    this.#region.addEventListener('change', () => this.#pick(this.#region.value))
    $('cancel').addEventListener('click', () => page.steps.back())
    this.section.addEventListener('submit', event => {
      event.preventDefault()
      this.#submit()
    })
  }

  title() {
    const { language: { words }, state: { purpose } } = this.#page
    return words[purpose.wordOf.title]
  }

  lead() {
    return ''
  }

  /** @param {boolean} isFresh */
  enter(isFresh) {
    const { phones, state: { purpose, typed } } = this.#page
    if (this.#purpose !== purpose) this.#isPicked = false
    this.#purpose = purpose
    if (isFresh) this.focus.value = phones.format(typed)
  }

  render() {
    this.#renderOptions()
    renderLegal(this.#page)
    const { language: { words }, phones, state: { isLogin, purpose, typed } } = this.#page
    $('hint').textContent = words[purpose.wordOf.hint]
    $('cancel').hidden = isLogin
    const { calling, example } = phones.region(typed.region)
    this.#region.value = typed.region
    $('flag').textContent = typed.international ? '🌐' : flagOf(typed.region)
    $('calling').textContent = typed.international ? '' : `+${calling}`
    this.focus.placeholder = phones.format({ region: typed.region, digits: example, international: false })
  }

  #renderOptions() {
    const { language: { tag }, phones } = this.#page
    if (this.#region.lang === tag) return
    const names = new Intl.DisplayNames(tag, { type: 'region' })
    const { compare } = new Intl.Collator(tag)
    const options = [...phones.regions.values()]
      .map(({ code, calling }) => ({ code, calling, name: names.of(code) ?? code }))
      .sort((a, b) => compare(a.name, b.name))
      // The name comes first, so that a region is found by typing it.
      .map(({ code, calling, name }) => new Option(`${name} ${ltr(`+${calling}`)} ${flagOf(code)}`, code))
    this.#region.replaceChildren(...options)
    this.#region.lang = tag
  }

  /** @param {string} region */
  #pick(region) {
    const { notice, phones, state } = this.#page
    this.#isPicked = true
    state.typed = { ...state.typed, region, international: false }
    this.focus.value = phones.format(state.typed)
    notice.clear()
    this.render()
  }

  /**
   * Reads the field after a change, writes it anew, and puts the caret behind the digit that it stood behind.
   *
   * @param {string | undefined} inputType of the InputEvent; undefined after the browser has filled the field in
   */
  #read(inputType) {
    const { notice, phones, state } = this.#page
    const field = this.focus
    const { text, caret } = this.#withoutDeleted(inputType)
    const behind = digitsOf(text).length - caret
    const whole = inputType === undefined || /Paste|Drop|Replacement/.test(inputType)
    state.typed = phones.read(text, state.typed.region, { whole, keep: this.#isPicked })
    field.value = phones.format(state.typed)
    let position = field.value.length
    for (let passed = 0; passed < behind && position > 0;) if (/\d/.test(field.value[--position])) passed++
    field.setSelectionRange(position, position)
    notice.clear()
    this.render()
  }

  /**
   * Returns the text of the field, and how many of its digits stand before the caret. If only a separator was deleted,
   * the digit beside it is deleted too, because the separator is written again.
   *
   * @param {string | undefined} inputType
   */
  #withoutDeleted(inputType) {
    const text = this.focus.value
    const digits = digitsOf(text)
    const caret = digitsOf(text.slice(0, this.focus.selectionStart ?? 0)).length
    const isDeletion = /^deleteContent(Back|For)ward$/.test(inputType ?? '')
    if (!isDeletion || digits.length !== this.#page.state.typed.digits.length) return { text, caret }
    const at = inputType === 'deleteContentBackward' ? caret - 1 : caret
    if (at < 0 || at >= digits.length) return { text, caret }
    const sign = hasPlus(text) ? '+' : ''
    return { text: sign + digits.slice(0, at) + digits.slice(at + 1), caret: Math.min(caret, at) }
  }

  /**
   * Returns what makes a button that sends a refused phone as one of another region, if it is in the form of one.
   *
   * @param {Problem} problem
   */
  #offer({ code }) {
    const { language, phones, settings, state } = this.#page
    if (code !== 'invalid_phone') return undefined
    const languages = [...navigator.languages, language.tag]
    const likely = likelyRegions(phones.regions, settings.default_region, languages)
    const region = phones.other(state.typed, likely)
    if (!region) return undefined
    const calling = ltr(`+${phones.region(region).calling}`)
    return () => {
      const names = new Intl.DisplayNames(language.tag, { type: 'region' })
      const textContent = language.say('meant_region', { region: `${names.of(region)} ${calling}` })
      const button = make('button', { type: 'button', textContent })
      button.addEventListener('click', () => {
        this.#pick(region)
        this.#submit()
      })
      return button
    }
  }

  #submit() {
    const { notice, phones, state, steps, task } = this.#page
    if (!state.typed.digits) return notice.fault(new Problem('phone_missing'), this.focus)
    const asked = phones.asSent(state.typed)
    const { challenge } = state
    const isOfPhone = challenge !== null && isSame(challenge.asked, asked)
    const isUsable = isOfPhone && state.isChallengeUnexpired && !challenge.over
    const isOnItsWay = isUsable && now() < challenge.resend_at
    if (isOnItsWay) return steps.push('code')
    task.run($('send'), isAwaited => this.#send(asked, isAwaited))
  }

  /**
   * @param {AskedPhone} asked
   * @param {() => boolean} isAwaited
   */
  async #send(asked, isAwaited) {
    const { notice, phones, state } = this.#page
    notice.clear()
    try {
      await askForCode(this.#page, asked, phones.international(state.typed), isAwaited)
    } catch (caught) {
      const problem = Problem.from(caught)
      if (isAwaited()) notice.fault(problem, this.focus, this.#offer(problem))
    }
  }
}
