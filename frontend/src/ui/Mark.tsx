/** The fan. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="3.2" strokeLinecap="round">
        <path d="M16 27 5 11M16 27 11.5 7M16 27 20.5 7M16 27 27 11" />
      </g>
      <circle cx="16" cy="27" r="2.6" fill="currentColor" />
    </svg>
  );
}
