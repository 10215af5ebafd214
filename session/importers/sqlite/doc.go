// Package sqlite reads the tables of an SQLite database file, without SQLite: the
// file is opened for reading only, nothing is locked and no file appears beside it.
// What a running program has committed to its write-ahead log is read too.
//
// It knows tables, not queries: rows come in the order of their keys. Virtual tables
// cannot be read. The format is that of
// https://www.sqlite.org/fileformat2.html; section numbers in comments are its.
package sqlite
