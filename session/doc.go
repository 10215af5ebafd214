// Package session is the notebook without a screen: it holds the document, its
// statements, their dataflow and values, undo, autosave and crash recovery.
// Everything the screen can do happens through a Session, so that the same
// notebook runs headless.
//
// It draws nothing (tui does) and does no arithmetic on data of its own (fitting does).
// Verbs are declared in verb_*.go, one file a verb, into one registry that the
// parser's checks, completion, help, knobs and documentation all come from.
package session
