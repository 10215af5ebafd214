// Package table holds sweep data as typed columns and knows what the columns
// mean: which one is N, D, η, batch or loss, under the many names people give
// them. It filters and derives columns by expressions.
//
// It reads no files (session/importers does) and fits nothing.
package table
