# Labels, help and messages of the interface. The Japanese file has the same keys.

cancel = Cancel
list-comma = ,{" "}

## Panel
panel-title = Companion
tab-chat = Chat
tab-memory = Memory
tab-personas = Personas
tab-settings = Settings
tab-about = About

## Bubble
bubble-more = more
bubble-remembered = remembered: { $note }

## Chat
chat-hint = Say something…
chat-send = Send
chat-stop = Stop
chat-thinking = …
chat-stopped = stopped
chat-copy = copy
chat-retry = ask again
chat-private = Private talk
chat-private-hint = Answered on a copy of the memory. Nothing is kept, nothing is learned.
chat-learning-off = Learning is off: nothing is kept.
chat-keys-enter = Enter sends · Shift+Enter new line
chat-keys-ctrl-enter = Ctrl+Enter sends · Enter new line
chat-empty = Nothing said yet.
chat-empty-hint = What you tell me here stays on this computer.

## Days
day-today = Today
day-yesterday = Yesterday
day-date = { $day } { $month } { $year }
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December

## Memory
memory-remember = What I remember
memory-remember-hint = Asked just now of a copy of my memory. The bar shows how sure I was.
memory-ask-again = ask again
memory-nothing = You have not told me anything about you yet.
memory-untold = Not told yet: { $topics }
memory-sure = { $percent } %
memory-wrong = that's wrong
memory-forget = forget it
memory-forgotten = Forgotten. Asked by heart, I no longer know it.
memory-correct-hint = Write it as it should be:
memory-correct = Correct
memory-corrected = Written into my memory.
memory-heart = Heart
memory-not-ready = My brain is not loaded yet.
memory-bytes = { $bytes } bytes, always
memory-bytes-hint = All I learn goes into this many bytes. They change; they never become more.
memory-tokens = Tokens read
memory-notes = Notes written
memory-sleep = Sleep now
memory-slept = I slept over my notes.
memory-no-sleep = I have not slept over my notes yet. I do when it is quiet for a while.
memory-last-sleep = Last sleep: { $after } of { $all } notes by heart, { $before } before.
memory-last-sleep-unknown = Things nobody told me: { $after } of { $all } admitted, { $before } before.
memory-brain = Brain
memory-layer = Layer
memory-session-heads = this talk
memory-lifelong-heads = for life
memory-care = Keep or forget
memory-export-hint = Puts everything of this persona into one file.
memory-export = Export
memory-exported = Exported to { $path }
memory-import-hint = Takes the memory from such a file.
memory-import = Import
memory-import-sure = The memory I have now is replaced; a copy stays among the older ones.
memory-import-yes = Replace
memory-imported = Imported. I remember what the file remembers.
memory-reset-hint = Forgets everything you told this persona.
memory-reset = Forget everything…
memory-reset-type = To forget everything, type: { $word }
memory-reset-word = forget
memory-reset-yes = Forget everything
memory-was-reset = Forgotten. An older copy stays in the folder of snapshots.

## Things the memory is asked about
topic-name = your name
topic-user-name = your name
topic-nickname = what to call you
topic-age = your age
topic-birthday = your birthday
topic-job = your job
topic-work = your work
topic-city = where you live
topic-hometown = where you come from
topic-color = favorite color
topic-favorite-color = favorite color
topic-food = favorite food
topic-favorite-food = favorite food
topic-drink = favorite drink
topic-favorite-drink = favorite drink
topic-animal = favorite animal
topic-hobby = your hobby
topic-music = favorite music
topic-book = favorite book
topic-sport = favorite sport
topic-season = favorite season
topic-dog-name = your dog
topic-cat-name = your cat
topic-pet-name = your pet
topic-friend-name = your friend
topic-sister-name = your sister
topic-brother-name = your brother
topic-mother-name = your mother
topic-father-name = your father

## Personas
persona-here = here now
persona-switch = Switch
persona-delete = delete
persona-delete-sure = Everything this persona remembers is deleted with it.
persona-delete-yes = Delete
persona-new = Someone new
persona-new-hint = Starts without any memory. Give a name:
persona-create = Create

## Settings
settings-general = General
settings-language = Language
settings-language-system = As the system
settings-send-key = Send with
settings-send-enter = Enter
settings-send-ctrl-enter = Ctrl+Enter
settings-look = Look
settings-figure-size = Figure
settings-text-size = Text
settings-bubble = Speech bubble
settings-bubble-full = Three lines
settings-bubble-line = One line
settings-bubble-symbol = Symbol only
settings-bubble-none = None
settings-reduced-motion = Reduced motion
settings-reduced-motion-hint = Only the eyes move.
settings-manners = Manners
settings-quiet = Quiet
settings-quiet-hint = Never speaks unasked.
settings-learn = Learn from our talks
settings-learn-hint = Off: every talk is private, nothing is kept.
settings-welcome-again = Show the welcome again
settings-welcome-hint = The three bubbles of the first start.

## About
about-title = Companion
about-text = A small creature with a brain of its own. It runs on this computer alone.
about-version = Version
about-model = Brain
about-params = Parameters
about-device = Computes on
about-threads = Threads
about-memory = Memory
about-first-token = First word after
about-rate = Tokens a second
about-updates = Updates a second
about-copy = Copy these figures
about-copy-hint = The copy contains no word of any talk.
about-licenses = Licenses
about-licenses-text = Program: MIT or Apache 2.0. Fonts: M PLUS Rounded 1c, Zen Maru Gothic and Noto Emoji, SIL Open Font License 1.1. Training data: see NOTICE.

## Menu
menu-talk = Talk
menu-memory = Memory
menu-settings = Settings
menu-quiet = Quiet for an hour
menu-speak-again = Speak again
menu-hide = Hide for 15 minutes
menu-show = Show
menu-quit = Quit
