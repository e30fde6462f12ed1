// Package gaps says what netglance could not see. It imports nothing of the project.
package gaps

// A Gap is one thing that could not be read or is not understood. An answer
// that depends on it is never given as certain.
type Gap struct {
	// Source names what was asked, for instance "nf_tables", "/proc/812/fd".
	Source string
	// Reason says in words what was not seen and why.
	Reason string
	// Hint says what the person can do about it; empty where nothing helps.
	Hint string
	// Err is the cause, if there was one: test it with errors.Is.
	Err error
}
