# 画面の言葉。英語のファイルと同じキーを持つ。

cancel = やめる
list-comma = 、

## パネル
panel-title = コンパニオン
tab-chat = おはなし
tab-memory = おもいで
tab-personas = なかま
tab-settings = 設定
tab-about = 情報

## ふきだし
bubble-more = つづき
bubble-remembered = おぼえた：{ $note }

## おはなし
chat-hint = はなしかけてね…
chat-send = 送る
chat-stop = とめる
chat-thinking = …
chat-stopped = 途中でとめました
chat-copy = コピー
chat-retry = もう一度きく
chat-private = ないしょ話
chat-private-hint = 記憶のコピーで答えます。何も残さず、何もおぼえません。
chat-learning-off = 学習はオフです。何も残りません。
chat-keys-enter = Enterで送信・Shift+Enterで改行
chat-keys-ctrl-enter = Ctrl+Enterで送信・Enterで改行
chat-empty = まだ何も話していません。
chat-empty-hint = ここで話したことは、このパソコンの外に出ません。

## 日付
day-today = 今日
day-yesterday = 昨日
day-date = { $year }年{ $month }{ $day }日
month-1 = 1月
month-2 = 2月
month-3 = 3月
month-4 = 4月
month-5 = 5月
month-6 = 6月
month-7 = 7月
month-8 = 8月
month-9 = 9月
month-10 = 10月
month-11 = 11月
month-12 = 12月

## おもいで
memory-remember = おぼえていること
memory-remember-hint = いま、記憶のコピーにたずねた答えです。棒は自信のほどを表します。
memory-ask-again = もう一度きく
memory-nothing = まだ、あなたのことを何も聞いていません。
memory-untold = まだ聞いていないこと：{ $topics }
memory-sure = { $percent }％
memory-wrong = ちがうよ
memory-forget = 忘れて
memory-forgotten = 忘れました。たずねられても、もう知りません。
memory-correct-hint = 正しく書き直してください：
memory-correct = 直す
memory-corrected = 記憶に書きこみました。
memory-heart = こころ
memory-not-ready = 頭脳をまだ読みこんでいません。
memory-bytes = いつでも { $bytes } バイト
memory-bytes-hint = 学んだことはすべてこの大きさの中に入ります。中身は変わっても、大きさは変わりません。
memory-tokens = 読んだトークン
memory-notes = 書いたメモ
memory-sleep = いま眠る
memory-slept = メモをおさらいして眠りました。
memory-no-sleep = まだメモのおさらいをしていません。しばらく静かになると、眠っておさらいします。
memory-last-sleep = 前の眠り：{ $all }このメモのうち、そらで言えるのは{ $before }こから{ $after }こに。
memory-last-sleep-unknown = 聞いていないこと：{ $all }このうち、知らないと言えるのは{ $before }こから{ $after }こに。
memory-brain = 頭脳
memory-layer = 層
memory-session-heads = いまの会話
memory-lifelong-heads = ずっと
memory-care = のこす・わすれる
memory-export-hint = このなかまのすべてを、ひとつのファイルに書き出します。
memory-export = 書き出す
memory-exported = { $path } に書き出しました。
memory-import-hint = そのファイルから記憶を読みこみます。
memory-import = 読みこむ
memory-import-sure = いまの記憶と入れかわります。いまの記憶の控えは残ります。
memory-import-yes = 入れかえる
memory-imported = 読みこみました。ファイルの記憶を思い出せます。
memory-reset-hint = このなかまに話したことを、すべてわすれます。
memory-reset = すべてわすれる…
memory-reset-type = すべてわすれるには、次の言葉を入力してください：{ $word }
memory-reset-word = わすれる
memory-reset-yes = すべてわすれる
memory-was-reset = わすれました。古い控えは控えのフォルダーに残っています。

## 記憶にたずねること
topic-name = 名前
topic-user-name = 名前
topic-nickname = 呼び名
topic-age = 年齢
topic-birthday = 誕生日
topic-job = 仕事
topic-work = 仕事
topic-city = 住んでいる所
topic-hometown = ふるさと
topic-color = 好きな色
topic-favorite-color = 好きな色
topic-food = 好きな食べ物
topic-favorite-food = 好きな食べ物
topic-drink = 好きな飲み物
topic-favorite-drink = 好きな飲み物
topic-animal = 好きな動物
topic-hobby = 趣味
topic-music = 好きな音楽
topic-book = 好きな本
topic-sport = 好きなスポーツ
topic-season = 好きな季節
topic-dog-name = 犬の名前
topic-cat-name = 猫の名前
topic-pet-name = ペットの名前
topic-friend-name = 友だちの名前
topic-sister-name = 姉妹の名前
topic-brother-name = 兄弟の名前
topic-mother-name = お母さんの名前
topic-father-name = お父さんの名前

## なかま
persona-here = いまここにいます
persona-switch = 交代する
persona-delete = 削除
persona-delete-sure = このなかまのおもいでも、いっしょに消えます。
persona-delete-yes = 削除する
persona-new = 新しいなかま
persona-new-hint = まっさらな記憶で始まります。名前をつけてください：
persona-create = むかえる

## 設定
settings-general = 全般
settings-language = 言語
settings-language-system = システムに合わせる
settings-send-key = 送信のキー
settings-send-enter = Enter
settings-send-ctrl-enter = Ctrl+Enter
settings-look = 見た目
settings-figure-size = からだの大きさ
settings-text-size = 文字の大きさ
settings-bubble = ふきだし
settings-bubble-full = 3行
settings-bubble-line = 1行
settings-bubble-symbol = 記号だけ
settings-bubble-none = なし
settings-reduced-motion = 動きを減らす
settings-reduced-motion-hint = 目だけが動きます。
settings-manners = ふるまい
settings-quiet = しずかに
settings-quiet-hint = 自分からは話しかけません。
settings-learn = 会話からおぼえる
settings-learn-hint = オフのときは、すべてないしょ話になり、何も残りません。
settings-welcome-again = はじめのあいさつをもう一度
settings-welcome-hint = 最初に出る3つのふきだしです。

## 情報
about-title = コンパニオン
about-text = 自分の頭脳を持つ小さな生きものです。このパソコンの中だけで動きます。
about-version = バージョン
about-model = 頭脳
about-params = パラメーター数
about-device = 計算に使うもの
about-threads = スレッド数
about-memory = 記憶
about-first-token = 最初の言葉まで
about-rate = 1秒あたりのトークン
about-updates = 1秒あたりの更新
about-copy = この内容をコピー
about-copy-hint = コピーに会話の言葉は入りません。
about-licenses = ライセンス
about-licenses-text = プログラム：MITまたはApache 2.0。フォント：M PLUS Rounded 1c、Zen Maru Gothic、Noto Emoji（SIL Open Font License 1.1）。学習データ：NOTICEを見てください。

## メニュー
menu-talk = 話す
menu-memory = おもいで
menu-settings = 設定
menu-quiet = 1時間しずかに
menu-speak-again = また話していいよ
menu-hide = 15分かくれる
menu-show = 出てきて
menu-quit = おわる
