// @ts-check
// The look that the operator gives to the page. The colours are in brand.css, which the service makes.

import { $ } from './dom.js'

/** @import { Settings } from './_types.js' */

/**
 * Shows the name beside the built-in icon, or the logo in place of both.
 *
 * @param {Settings} settings
 */
export function showBrand({ app_name, logo }) {
  $('app').textContent = app_name
  if (logo === 'none') return
  $('app').hidden = true
  Object.assign($('logo', HTMLImageElement), { alt: app_name, className: `own ${logo}` })
}
