package command

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/spelling"
)

// A usageError is what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) + "; see dekamond-otp help" }

// flags are the commands that people also know as flags.
var flags = map[string]string{
	"-h":        "help",
	"-help":     "help",
	"--help":    "help",
	"-V":        "version",
	"-v":        "version",
	"-version":  "version",
	"--version": "version",
}

// find returns the command that the arguments begin with, and the arguments of the command. A command with a flag for
// help is help. The error is a usageError.
func find(args []string) (c command, rest []string, err error) {
	if len(args) == 0 {
		return commands()[0], nil, nil
	}
	words := slices.Clone(args)
	if name, ok := flags[words[0]]; ok {
		words[0] = name
	}
	for _, c = range commands() {
		name := strings.Fields(c.name)
		if len(words) >= len(name) && slices.Equal(words[:len(name)], name) {
			return check(c, words[len(name):])
		}
	}
	return command{}, nil, unknown(words)
}

// check refuses arguments that the command does not take.
func check(c command, args []string) (command, []string, error) {
	asksForHelp := func(arg string) bool { return flags[arg] == "help" }
	if slices.ContainsFunc(args, asksForHelp) {
		return named("help"), nil, nil
	}
	switch {
	case c.argument == "" && len(args) > 0:
		return c, nil, usageError(c.name + " takes no argument, and was given " + quote(args[0]))
	case c.name != "help" && len(args) > 1:
		return c, nil, usageError(c.name + " takes one " + c.argument + ", and was given " + quote(args[1]) + " too")
	}
	return c, args, nil
}

func named(name string) command {
	all := commands()
	return all[slices.IndexFunc(all, func(c command) bool { return c.name == name })]
}

// unknown returns the error for arguments that begin with no command. It offers the command that was probably meant.
func unknown(args []string) error {
	if name, _, ok := strings.Cut(args[0], "="); ok && slices.Contains(config.Names(sms.Settings()), name) {
		return usageError(name + " is a setting and no command: set it in the environment, or in .env")
	}
	text, nearest, least := args[0], "", 3
	for _, c := range commands() {
		said := strings.Join(args[:min(len(args), len(strings.Fields(c.name)))], " ")
		d := distance(said, c.name)
		if first, _, two := strings.Cut(c.name, " "); two && first == args[0] {
			text, d = said, 0
		}
		if d < least {
			nearest, least = c.name, d
		}
	}
	question := ""
	if nearest != "" {
		question = " (do you mean " + nearest + "?)"
	}
	return usageError("unknown command " + quote(text) + question)
}

// distance returns how far an argument is from the name of a command. Whether letters are large, and what is between
// words, does not count. The beginning of a name is near it.
func distance(said, name string) int {
	letters := strings.NewReplacer(" ", "", "-", "", "_", "")
	said, name = letters.Replace(strings.ToLower(said)), letters.Replace(name)
	d := spelling.Distance(said, name)
	if len(said) > 2 && strings.HasPrefix(name, said) {
		return min(d, 1)
	}
	return d
}

// quote returns an argument in quotes, shortened and without what could be a value or change a terminal.
func quote(arg string) string {
	const most = 40 // characters
	name, isCut := arg, false
	if i := strings.IndexAny(arg, "=:@/"); i >= 0 {
		name, isCut = arg[:i+1], true
	}
	plain := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name))
	if isCut || len(plain) > most {
		plain = append(plain[:min(len(plain), most)], '…')
	}
	return strconv.Quote(string(plain))
}
