/**
 * Who owns a resource, when it is cleaned up, and what is left when a process ends.
 * @module
 */
