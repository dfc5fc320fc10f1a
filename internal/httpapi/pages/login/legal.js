// @ts-check
// What the person agrees to by asking for a code, and what the message may cost.

import { $, make } from './dom.js'

/** @import { Page } from './_types.js' */

/**
 * Writes the small print below the button, as the settings ask for it.
 *
 * @param {Page} page
 */
export function renderLegal({ language, settings: { terms_url, privacy_url, sms_notice }, state }) {
  const { words } = language
  const legal = $('legal')
  legal.hidden = !state.isLogin || !terms_url && !privacy_url && !sms_notice
  const word = terms_url && privacy_url ? 'agree' : terms_url ? 'agree_terms' : 'agree_privacy'
  const links = { terms: link(terms_url, words.terms), privacy: link(privacy_url, words.privacy) }
  if (terms_url || privacy_url) language.write(legal, word, links)
  else legal.replaceChildren()
  if (sms_notice) legal.append(' ', words.sms_notice)
}

/**
 * Returns a link that opens beside the page, so that what the person has typed is not lost, and that tells the other
 * site nothing of this page.
 *
 * @param {string} href
 * @param {string} textContent
 */
const link = (href, textContent) => make('a', { href, textContent, target: '_blank', rel: 'noopener noreferrer' })
