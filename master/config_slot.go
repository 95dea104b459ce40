package master

import (
	"strconv"
	"strings"
)

// slotMark is what expands to the number of the worker's slot in arguments
// and in the values of variables, and nowhere else.
const slotMark = "{slot}"

// Argv is the command of the worker in a slot, {slot} expanded in its arguments.
func (c *Config) Argv(slot int) []string {
	argv := make([]string, len(c.Command))
	for i, arg := range c.Command {
		argv[i] = expandSlot(arg, slot)
	}
	return argv
}

// EnvOf gives the variables that the config adds for the worker in a slot, as
// NAME=VALUE, {slot} expanded in the values.
func (c *Config) EnvOf(slot int) []string {
	env := make([]string, len(c.Env))
	for i, v := range c.Env {
		env[i] = v.Key + "=" + expandSlot(v.Value, slot)
	}
	return env
}

func expandSlot(text string, slot int) string {
	return strings.ReplaceAll(text, slotMark, strconv.Itoa(slot))
}
