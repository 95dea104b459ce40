// Package inject does harm on a schedule: signals to a master, commands,
// kills of random workers. The schedule comes from a seed alone, and a log
// has what was done, so that a run that found something can be done again.
package inject
