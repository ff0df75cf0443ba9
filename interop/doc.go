// Package interop holds tests only: clients that others wrote, unmodified,
// sign in to the simulated cloud of package lab and read from it. It is a
// module of its own, so that none of those clients becomes a need of the
// product. README.md says what is shown where.
package interop
