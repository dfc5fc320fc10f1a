// Reports what the page does wrong to the proxy of the test.
{
	const tell = navigator.sendBeacon.bind(navigator, "/.test/fault")
	const words = values => values.map(v => v?.stack ? v + " " + v.stack : String(v)).join(" ")
	for (const level of ["error", "warn"]) {
		const log = console[level]
		console[level] = (...values) => { tell("console." + level + ": " + words(values)); log.apply(console, values) }
	}
	console.assert = (ok, ...values) => { ok || tell("console.assert: " + words(values)) }
	addEventListener("error", event => {
		if (event instanceof ErrorEvent) tell("not caught: " + words([event.error ?? event.message]))
		else tell("a " + event.target.localName + " does not load: " + (event.target.src || event.target.href))
	}, true)
	addEventListener("unhandledrejection", event => tell("not caught: " + words([event.reason])))
	addEventListener("securitypolicyviolation", event => {
		tell("against the policy: " + event.violatedDirective + " " + event.blockedURI)
	})
	for (const dialog of ["alert", "confirm", "prompt"]) window[dialog] = text => { tell("a dialog: " + text) }
	window.WebSocket = class extends WebSocket {
		constructor(url, ...more) { super(url, ...more); tell("the page opens " + url) }
	}
	new PerformanceObserver(list => {
		const foreign = list.getEntries().map(({name}) => name).filter(name => !name.startsWith(location.origin))
		for (const name of foreign) navigator.sendBeacon("/.test/asked", name)
	}).observe({type: "resource", buffered: true})
}
