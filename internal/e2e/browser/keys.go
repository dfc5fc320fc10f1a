package browser

// A Key is a character that is typed, or a key that writes nothing, as WebDriver names it (W3C WebDriver §17.4.2).
type Key = string

// The keys that write nothing.
const (
	Backspace  Key = "\ue003"
	Tabulator  Key = "\ue004"
	Enter      Key = "\ue007"
	Shift      Key = "\ue008"
	Control    Key = "\ue009"
	Escape     Key = "\ue00c"
	End        Key = "\ue010"
	Home       Key = "\ue011"
	ArrowLeft  Key = "\ue012"
	ArrowUp    Key = "\ue013"
	ArrowRight Key = "\ue014"
	ArrowDown  Key = "\ue015"
	Delete     Key = "\ue017"
)

// keysOf returns the keys of a text.
func keysOf(text string) (keys []Key) {
	for _, r := range text {
		keys = append(keys, string(r))
	}
	return keys
}

// An action is one input of a device, as WebDriver and WebDriver BiDi describe it.
type action map[string]any

// pressing returns the actions that type keys while the held keys are down.
func pressing(keys, held []Key) []action {
	actions := []action{} // also of no keys, because null is no list
	add := func(kind string, key Key) { actions = append(actions, action{"type": kind, "value": key}) }
	for _, key := range held {
		add("keyDown", key)
	}
	for _, key := range keys {
		add("keyDown", key)
		add("keyUp", key)
	}
	for _, key := range held {
		add("keyUp", key)
	}
	return []action{{"type": "key", "id": "keyboard", "actions": actions}}
}

// clicking returns the actions that click n times.
func clicking(x, y float64, n int) []action {
	actions := []action{{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0}}
	for range n {
		actions = append(actions, action{"type": "pointerDown", "button": 0}, action{"type": "pointerUp", "button": 0})
	}
	return []action{{"type": "pointer", "id": "mouse", "actions": actions}}
}
